package pxa_test

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/pxos/pxos/abi/pxa"
)

func Example() {
	ctx := context.Background()
	var picture bytes.Buffer
	digest, err := pxa.Pack(ctx, &picture, []pxa.Source{
		pxa.BytesSource("cartridge.toml", []byte("name = \"hello\"\nversion = \"1.0.0\"\n")),
		pxa.BytesSource("greeting.txt", []byte("hello, pixels")),
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	r, err := pxa.OpenVerified(ctx, pxa.Bytes(picture.Bytes()), int64(picture.Len()), nil)
	if err != nil {
		log.Fatal(err)
	}
	text, err := r.ReadFile("greeting.txt")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(digest)
	fmt.Printf("%s\n", text)
	// Output:
	// b92385f37214ed9f23493c27e7fa0b71330ddb513c380f78cc39197be6feeb86
	// hello, pixels
}
