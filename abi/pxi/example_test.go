package pxi_test

import (
	"bytes"
	"fmt"
	"log"
	"os"

	"github.com/pxos/pxos/abi/pxi"
)

func Example() {
	f, err := os.CreateTemp("", "*.pxi")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()

	w, err := pxi.NewWriter(f, pxi.Options{Width: 16, Compression: pxi.Auto})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(w, "Everything that is kept is kept as pixels.")
	h, err := w.Close()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d bytes, %d × %d pixels\n", h.Size, h.Width, h.Height)

	st, err := f.Stat()
	if err != nil {
		log.Fatal(err)
	}
	r, err := pxi.Open(f, st.Size())
	if err != nil {
		log.Fatal(err)
	}
	part := make([]byte, 10)
	if _, err := r.ReadAt(part, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", part)
	// Output:
	// 42 bytes, 16 × 1 pixels
	// Everything
}

func ExampleCorruptError() {
	file, err := pxi.Encode(bytes.Repeat([]byte("abc"), 10_000), pxi.Options{Width: 100})
	if err != nil {
		log.Fatal(err)
	}
	file[20_000] ^= 1
	_, err = pxi.Decode(file)
	fmt.Println(err)
	// Output:
	// pxi: block 4 (bytes 16384 to 20479, pixel rows 54 to 68) damaged: CRC-32C differs
}
