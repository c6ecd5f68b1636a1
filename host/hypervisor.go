package host

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/pxos/pxos/abi"
)

var _ abi.Hypervisor = (*Host)(nil)

// Use makes a cartridge current: the methods of abi.Hypervisor work on it. base is
// what its runs are given; RunProgram fills in program and arguments. The host does
// not close the cartridge.
func (h *Host) Use(c *Cartridge, base RunRequest) {
	h.curMu.Lock()
	defer h.curMu.Unlock()
	h.current, h.base = c, base
}

func (h *Host) using() (*Cartridge, RunRequest) {
	h.curMu.Lock()
	defer h.curMu.Unlock()
	return h.current, h.base
}

// RunProgram implements abi.Hypervisor.
func (h *Host) RunProgram(ctx context.Context, name string, args json.RawMessage) (*abi.RunResult, error) {
	c, req := h.using()
	if c == nil {
		return nil, errorf(abi.ErrNoProgram, "name a cartridge", "no cartridge is current")
	}
	req.Program, req.Args = name, args
	return h.Run(ctx, c, req)
}

// InspectSelf implements abi.Hypervisor.
func (h *Host) InspectSelf(ctx context.Context) (*abi.SelfInfo, error) {
	eng, err := h.engine()
	if err != nil {
		return nil, err
	}
	info := &abi.SelfInfo{
		Version:        Version,
		ABI:            abi.Version(),
		Engine:         eng.Describe(),
		Capabilities:   abi.CapabilityKinds(),
		Families:       append(eng.Families(), "wasi_snapshot_preview1", "wasi_unstable"),
		ModulesLoaded:  eng.Loaded(),
		SandboxActive:  true, // there is no way to run a cartridge without it
		Isolation:      h.cfg.Isolation,
		Uptime:         time.Since(h.started).Seconds(),
		GenesisVersion: abi.GenesisVersion,
		Runs:           h.runs.Load(),
		Limits:         h.Limits(abi.Limits{}, abi.Limits{}),
	}
	if c, _ := h.using(); c != nil {
		info.Cartridge = c.Digest()
		if m, err := c.Manifest(); err == nil {
			info.Name = m.Name
		}
	}
	log, err := h.Journal()
	if err != nil {
		return nil, err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return nil, errorf(abi.ErrInternal, "see pxos-host log verify", "read journal: %w", err)
	}
	info.JournalSeq = head.Seq
	return info, nil
}

// Shutdown implements abi.Hypervisor. Runs under way end as cancelled; ctx bounds
// the wait for them.
func (h *Host) Shutdown(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- h.Close() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.Join(errors.New("shutdown did not finish"), ctx.Err())
	}
}
