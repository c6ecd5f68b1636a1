package disktest

import (
	"testing"

	"github.com/pxos/pxos/host/disk"
)

func TestMem(t *testing.T) { Run(t, func() disk.FS { return NewMem() }) }

func TestHook(t *testing.T) {
	Run(t, func() disk.FS { return Hook(NewMem(), func(Op) Verdict { return Verdict{} }) })
}
