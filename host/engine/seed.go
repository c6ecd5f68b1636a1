package engine

import (
	"crypto/sha256"
	"math/rand/v2"
)

// newSeeded returns the reproducible random stream of a run with a seed: ChaCha8
// keyed with the seed's SHA-256.
func newSeeded(seed []byte) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256(seed))
}
