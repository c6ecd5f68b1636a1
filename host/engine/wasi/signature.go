package wasi

import "github.com/tetratelabs/wazero/api"

// Signature returns the WebAssembly type of a function of module, [Preview1] or
// [Unstable], or false when there is no such function.
func Signature(module, name string) (params, results []api.ValueType, ok bool) {
	if !Supported(module, name) {
		return nil, nil, false
	}
	params, results = table[Index(name)].signature()
	return params, results, true
}
