package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// contract is what the reference page takes from the comments of
// abi/hypervisor.go, so that they are written once.
type contract struct {
	structs []structDoc
	errors  []fieldDoc
}

type structDoc struct {
	name, doc string
	fields    []fieldDoc
}

type fieldDoc struct{ key, typ, doc string }

func parseContract(root string) (*contract, error) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "abi", "hypervisor.go"), nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	c := &contract{}
	for _, d := range file.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if st, ok := s.Type.(*ast.StructType); ok {
					c.structs = append(c.structs, structDoc{s.Name.Name, sentence(s.Name.Name, gen.Doc.Text()), fields(st)})
				}
			case *ast.ValueSpec:
				c.constant(s)
			}
		}
	}
	for _, s := range c.structs {
		if err := fill(s.name, s.fields); err != nil {
			return nil, err
		}
	}
	if err := fill("ErrorType", c.errors); err != nil {
		return nil, err
	}
	if len(c.structs) == 0 || len(c.errors) == 0 {
		return nil, errors.New("abi/hypervisor.go declares no result or no error type")
	}
	return c, nil
}

// fill completes rows without a comment from plainDocs.
func fill(table string, rows []fieldDoc) error {
	for i := range rows {
		if rows[i].doc == "" {
			rows[i].doc = plainDocs[table+"."+rows[i].key]
		}
		if rows[i].doc == "" {
			return fmt.Errorf("%s.%s has neither a comment in abi/hypervisor.go nor an entry in plainDocs", table, rows[i].key)
		}
	}
	return nil
}

func (c *contract) constant(s *ast.ValueSpec) {
	id, ok := s.Type.(*ast.Ident)
	if !ok || id.Name != "ErrorType" || len(s.Values) != 1 {
		return
	}
	if lit, ok := s.Values[0].(*ast.BasicLit); ok {
		if v, err := strconv.Unquote(lit.Value); err == nil {
			c.errors = append(c.errors, fieldDoc{key: v, doc: strings.TrimSpace(s.Comment.Text())})
		}
	}
}

func fields(st *ast.StructType) (out []fieldDoc) {
	for _, f := range st.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue
		}
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		out = append(out, fieldDoc{name, types.ExprString(f.Type), strings.TrimSpace(f.Comment.Text())})
	}
	return out
}

// sentence returns the first sentence of a doc comment without the leading "NAME is".
func sentence(name, doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	if i := strings.Index(doc, ". "); i >= 0 {
		doc = doc[:i+1]
	}
	return strings.TrimPrefix(doc, name+" is ")
}
