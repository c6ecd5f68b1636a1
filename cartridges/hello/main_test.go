//go:build !wasip1

package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/pxos/pxos/sdk/pxostest"
)

// host has the cartridge's real data file.
func host(t *testing.T) *pxostest.Host {
	t.Helper()
	data, err := os.ReadFile(greetingsPath)
	if err != nil {
		t.Fatal(err)
	}
	return &pxostest.Host{Archive: map[string]string{greetingsPath: string(data), "data/x.txt": "x"}}
}

func TestGreet(t *testing.T) {
	for _, tc := range []struct{ name, args, result, stdout, log, typ, msg string }{
		{name: "nobody", args: `{}`, result: `{"greeting":"Hello, world!","language":"en"}`, stdout: "Hello, world!\n", log: "greeting name=world language=en"},
		{name: "somebody", args: `{"name":"Ada"}`, result: `{"greeting":"Hello, Ada!","language":"en"}`, stdout: "Hello, Ada!\n", log: "greeting name=Ada language=en"},
		{name: "in Japanese", args: `{"name":"Ada","language":"ja"}`, result: `{"greeting":"こんにちは、Adaさん！","language":"ja"}`, stdout: "こんにちは、Adaさん！\n", log: "greeting name=Ada language=ja"},
		{name: "a name that looks like the mark", args: `{"name":"NAME"}`, result: `{"greeting":"Hello, NAME!","language":"en"}`, stdout: "Hello, NAME!\n", log: "greeting name=NAME language=en"},
		{name: "unknown language", args: `{"language":"xx"}`, typ: "unknown_language", msg: `no greeting in "xx": there are ar, de, en`},
		{name: "long name", args: `{"name":"` + strings.Repeat("x", 201) + `"}`, typ: "name_too_long", msg: "at most 200 bytes"},
		{name: "unknown key", args: `{"nmae":"Ada"}`, typ: "invalid_arguments", msg: `unknown field "nmae"`},
		{name: "wrong type", args: `{"name":7}`, typ: "invalid_arguments", msg: `argument "name" must be a string, not number`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := host(t).Run(t, "hello", json.RawMessage(tc.args))
			if tc.typ != "" {
				if r.Err == nil || r.Err.Type != tc.typ || !strings.Contains(r.Err.Message, tc.msg) || r.ExitCode != 1 {
					t.Errorf("exit %d, error %+v", r.ExitCode, r.Err)
				}
				return
			}
			if r.Err != nil || string(r.JSON) != tc.result || string(r.Stdout) != tc.stdout || len(r.Logs) != 1 || r.Logs[0].Message != tc.log {
				t.Errorf("error %+v\nresult %s\nstdout %s\nlogs %v", r.Err, r.JSON, r.Stdout, r.Logs)
			}
		})
	}
}

func TestEveryGreetingHasTheName(t *testing.T) {
	var greetings map[string]string
	if err := json.Unmarshal([]byte(host(t).Archive[greetingsPath]), &greetings); err != nil {
		t.Fatal(err)
	}
	for language, form := range greetings {
		if strings.Count(form, "NAME") != 1 || len(language) != 2 {
			t.Errorf("%s: %s", language, form)
		}
	}
}

func TestArchive(t *testing.T) {
	var files []File
	r := host(t).Run(t, "hello:archive", nil)
	r.Decode(t, &files)
	if len(files) != 2 || files[0] != (File{"data/x.txt", 1, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}) || files[1].Path != greetingsPath {
		t.Errorf("files %+v", files)
	}
	if first, _, _ := strings.Cut(string(r.Stdout), "\n"); first != "        1  2d711642b726  data/x.txt" {
		t.Errorf("first line %q", first)
	}
	if r := host(t).Run(t, "hello:archive", json.RawMessage(`{"x":1}`)); r.Err == nil {
		t.Error("arguments for a program without any were taken")
	}
}

func TestWithoutItsFile(t *testing.T) {
	r := pxostest.Run(t, "hello", nil)
	if r.Err == nil || r.Err.Type != "not_found" || !strings.Contains(r.Err.Message, greetingsPath) {
		t.Errorf("error %+v", r.Err)
	}
}
