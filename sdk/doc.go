// Package pxos is the SDK for cartridges in Go. A cartridge is an ordinary Go
// program, built with GOOS=wasip1 GOARCH=wasm by the plain Go toolchain:
//
//	type Args struct {
//		Name string `json:"name"`
//	}
//
//	type Greeting struct {
//		Text string `json:"text"`
//	}
//
//	func init() {
//		pxos.Register("hello:greet", func(ctx *pxos.Context, in Args) (Greeting, error) {
//			if in.Name == "" {
//				return Greeting{}, pxos.Errorf("no_name", "give a name: --args '{\"name\":\"Ada\"}'")
//			}
//			pxos.Info("greeting", "name", in.Name)
//			return Greeting{"Hello, " + in.Name + "!"}, nil
//		})
//	}
//
//	func main() { pxos.Main() }
//
// Programs are registered in init functions, so that a test in the same package
// finds them; package pxostest runs them natively against a fake host.
//
// # Exit codes
//
// A program that returns an error, or panics, ends the process with exit code 1
// after the host was told the error's type and message. Exit code 0 means that it
// succeeded.
//
// The package needs nothing but the standard library. The files raw_wasip1.go,
// raw_stub.go and codes.go are generated from the host-function table of package
// abi, whose reference page describes each function.
package pxos
