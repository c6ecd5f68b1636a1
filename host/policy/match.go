package policy

import (
	"path/filepath"

	"github.com/pxos/pxos/abi"
)

// Identity is a cartridge as rules see it.
type Identity struct {
	Digest string // 64 hex digits
	Path   string // host path it was opened from, empty when it came from memory
}

// matches reports whether s names id. Paths are compared after their symbolic
// links were resolved, so that a rule is about a place and not about a spelling.
func (s Subject) matches(id Identity) bool {
	if s.Digest != "" {
		return s.Digest == id.Digest
	}
	return s.Path != "" && id.Path != "" && realPath(s.Path) == realPath(id.Path)
}

func realPath(p string) string {
	if abs, err := filepath.Abs(p); err == nil {
		p = abs
	}
	if real, err := filepath.EvalSymlinks(p); err == nil {
		return real
	}
	return p
}

// IsTrusted reports whether the owner trusts the cartridge.
func (p *Policy) IsTrusted(id Identity) bool {
	for _, s := range p.Trusted {
		if s.matches(id) {
			return true
		}
	}
	return false
}

// IsolationFor returns how the cartridge runs: IsolationInline when it is trusted
// and nothing else was stated, otherwise what was stated, which may be
// IsolationAuto.
func (p *Policy) IsolationFor(id Identity) string {
	switch {
	case p.Isolation != "" && p.Isolation != IsolationAuto:
		return p.Isolation
	case p.IsTrusted(id):
		return IsolationInline
	}
	return IsolationAuto
}

// GrantsFor returns what the policy gives of what the cartridge asks for: one
// grant for each capability that has one, with the mode that was asked for even
// where the rule allows more. Of several rules that fit, the first counts.
func (p *Policy) GrantsFor(id Identity, asked []abi.Capability) []Grant {
	var out []Grant
	for _, want := range asked {
		for _, g := range p.Grants {
			if g.Covers(want) && g.Subject.matches(id) {
				g.Capability = want
				out = append(out, g)
				break
			}
		}
	}
	return out
}
