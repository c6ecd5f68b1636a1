package storage_test

import (
	"testing"

	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/storage"
)

// BenchmarkEngine is what the families add to the start of every run.
func BenchmarkEngine(b *testing.B) {
	for name, list := range map[string][]engine.Family{"alone": nil, "with storage": storage.Families()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if list != nil {
					list = storage.Families()
				}
				if _, err := engine.New(engine.Config{Families: list}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
