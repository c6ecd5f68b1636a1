package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host/engine/worker"
	"github.com/pxos/pxos/host/journal"
)

// genesisCheck is one check of one clause of Genesis. It returns what it saw, or an
// error that says how the clause is violated.
type genesisCheck struct {
	clause, name string
	cartridge    bool // needs a current cartridge
	run          func(ctx context.Context, h *Host, c *Cartridge) (evidence string, err error)
}

var genesisChecks = []genesisCheck{
	{"1.1", "code and data are recovered from RGB values alone", true, checkPixels},
	{"1.1", "a file is recovered from the RGB values of its picture alone", false, scratch(checkFilePixels)},
	{"1.2", "packing is lossless and deterministic", true, checkRoundTrip},
	{"1.2", "files and maps come back as they were, stored the same way each time", false, scratch(checkStoredTwice)},
	{"1.3", "the file is an image and code at once", true, checkImage},
	{"2.1", "the cartridge is one verified archive", true, checkArchive},
	{"2.2", "programs need nothing but the host", true, checkModules},
	{"2.3", "the archive holds what the manifest names", true, checkComplete},
	{"3.1", "a file that is replaced or removed stays", false, scratch(checkFileVersions)},
	{"4.1", "run_program runs and returns a result", false, checkProbeRuns},
	{"4.2", "inspect_self answers", false, checkInspect},
	{"4.3", "a runaway guest is stopped", false, checkProbeStopped},
	{"4.3", "a guest cannot open a file outside its sandbox", false, checkProbeConfined},
	{"4.4", "executions are in the journal, and its chain holds", false, checkJournal},
	{"7.1", "version, creator, time and notes are stated", true, checkProvenance},
	{"7.2", "the log is pixel-native", false, checkLogPicture},
	{"7.4", "people and LLMs can be told apart", true, checkCreator},
	{"11.1", "licence and compliance are stated in the archive", true, checkOpen},
	{"12.1", "the cover belongs to the content", true, checkCover},
}

// allClauses are the clauses of Genesis 1.0.
var allClauses = []string{
	"1.1", "1.2", "1.3", "2.1", "2.2", "2.3", "2.4", "3.1", "3.2", "3.3", "3.4", "4.1", "4.2", "4.3", "4.4", "5.1", "5.2", "5.3",
	"6.1", "6.2", "6.3", "6.4", "7.1", "7.2", "7.3", "7.4", "8.1", "8.2", "8.3", "8.4", "9.1", "9.2", "9.3", "9.4",
	"10.1", "10.2", "10.3", "10.4", "11.1", "11.2", "12.1", "12.2", "12.3",
}

// ValidateGenesis implements abi.Hypervisor: it makes every check that exists on this
// host and its current cartridge, and names the clauses it has no check for. Nothing
// is assumed: a clause without a check is neither passed nor failed.
func (h *Host) ValidateGenesis(ctx context.Context) (*abi.GenesisReport, error) {
	c, _ := h.using()
	rep := &abi.GenesisReport{Version: abi.GenesisVersion, Violations: []string{}, NotChecked: []string{}}
	checked := map[string]bool{}
	for _, k := range genesisChecks {
		if k.cartridge && c == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		evidence, err := k.run(ctx, h, c)
		checked[k.clause] = true
		if err != nil {
			evidence = err.Error()
			rep.TestsFailed++
			rep.Violations = append(rep.Violations, fmt.Sprintf("§%s %s: %v", k.clause, k.name, err))
		} else {
			rep.TestsPassed++
		}
		rep.Checks = append(rep.Checks, abi.GenesisCheck{Clause: k.clause, Name: k.name, Passed: err == nil, Evidence: evidence})
	}
	for _, clause := range allClauses {
		if !checked[clause] {
			rep.NotChecked = append(rep.NotChecked, clause)
		}
	}
	rep.Compliant = rep.TestsFailed == 0 && rep.TestsPassed > 0
	return rep, nil
}

// sources are the entries of a cartridge as input for packing.
func sources(c *Cartridge) []pxa.Source {
	var out []pxa.Source
	for _, e := range c.Archive().Entries() {
		out = append(out, pxa.Source{Path: e.Path, Size: e.Size, Open: func() (io.ReadCloser, error) { return c.Archive().Open(e.Path) }})
	}
	return out
}

// roundTripLimit bounds the cartridges that are packed again as a check.
const roundTripLimit = 256 << 20

func checkRoundTrip(ctx context.Context, _ *Host, c *Cartridge) (string, error) {
	for _, e := range c.Archive().Entries() {
		if e.Size > roundTripLimit {
			return fmt.Sprintf("every entry matches its SHA-256; %q is too large to pack again here", e.Path), verifyEntries(ctx, c)
		}
	}
	var a, b bytes.Buffer
	d1, err := pxa.Pack(ctx, &a, sources(c), nil)
	if err != nil {
		return "", fmt.Errorf("packing the content again: %w", err)
	}
	d2, err := pxa.Pack(ctx, &b, sources(c), nil)
	if err != nil {
		return "", fmt.Errorf("packing the content again: %w", err)
	}
	if d1 != d2 || !bytes.Equal(a.Bytes(), b.Bytes()) {
		return "", errors.New("packing the same content twice gives different bytes")
	}
	again, err := pxa.OpenVerified(ctx, memory(a.Bytes()), int64(a.Len()), nil)
	if err != nil {
		return "", fmt.Errorf("reading what was packed: %w", err)
	}
	want, got := c.Archive().Entries(), again.Entries()
	if len(want) != len(got) {
		return "", fmt.Errorf("%d entries became %d", len(want), len(got))
	}
	for i := range want {
		if want[i].Path != got[i].Path || want[i].Sum != got[i].Sum {
			return "", fmt.Errorf("entry %q changed on the way", want[i].Path)
		}
	}
	return fmt.Sprintf("packed twice to the same %d bytes, digest %s; every content unchanged", a.Len(), d1.Short()), nil
}

func verifyEntries(ctx context.Context, c *Cartridge) error {
	_, err := c.Archive().Verify(ctx, nil)
	return err
}

func checkImage(_ context.Context, _ *Host, c *Cartridge) (string, error) {
	if c.data == nil {
		return "PNG structure verified by the archive reader", nil
	}
	img, err := png.Decode(bytes.NewReader(c.data))
	if err != nil {
		return "", fmt.Errorf("a common PNG decoder refuses it: %w", err)
	}
	return fmt.Sprintf("a common PNG decoder shows %d × %d pixels", img.Bounds().Dx(), img.Bounds().Dy()), nil
}

func checkArchive(ctx context.Context, _ *Host, c *Cartridge) (string, error) {
	rep, err := c.Archive().Verify(ctx, nil)
	if err != nil {
		return "", err
	}
	if n := len(rep.Unsupported); n > 0 {
		return "", fmt.Errorf("%d entries, such as %q, have a codec that this host cannot read", n, rep.Unsupported[0])
	}
	return fmt.Sprintf("digest %s; %d entries, %s, each match their SHA-256", rep.Digest.Short(), rep.Entries, abi.FormatBytes(rep.Content)), nil
}

func checkModules(_ context.Context, h *Host, c *Cartridge) (string, error) {
	m, err := c.Manifest()
	if err != nil {
		return "", err
	}
	eng, err := h.engine()
	if err != nil {
		return "", err
	}
	limits := h.Limits(m.Limits, abi.Limits{})
	for _, p := range m.Programs {
		src, err := worker.Source(c.archive, p.Module)
		if err != nil {
			return "", err
		}
		if err := eng.Check(src, limits, p.Export); err != nil {
			return "", fmt.Errorf("program %s: %w", p.Name, err)
		}
	}
	return "nothing but what this host offers is imported by " + programs(m), nil
}

// programs counts the programs of a cartridge in words.
func programs(m *abi.Manifest) string {
	if len(m.Programs) == 1 {
		return "its one program"
	}
	return fmt.Sprintf("its %d programs", len(m.Programs))
}

func checkComplete(_ context.Context, _ *Host, c *Cartridge) (string, error) {
	m, err := c.Manifest()
	if err != nil {
		return "", err
	}
	for _, p := range m.Programs {
		if _, ok := c.Archive().Lookup(p.Module); !ok {
			return "", fmt.Errorf("program %s names %q, which is not in the archive", p.Name, p.Module)
		}
	}
	return "in the archive are the manifest and what it names for " + programs(m), nil
}

func checkProvenance(_ context.Context, _ *Host, c *Cartridge) (string, error) {
	m, err := c.Manifest()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("version %s by %s, %s, with notes", m.Version, m.Creator.Name, m.CreatedAt.Format("2006-01-02")), nil
}

func checkCreator(_ context.Context, _ *Host, c *Cartridge) (string, error) {
	m, err := c.Manifest()
	if err != nil {
		return "", err
	}
	return "made by kind " + m.Creator.Kind, nil
}

func checkOpen(_ context.Context, _ *Host, c *Cartridge) (string, error) {
	m, err := c.Manifest()
	if err != nil {
		return "", err
	}
	const name = "GENESIS_COMPLIANCE.md"
	if _, ok := c.Archive().Lookup(name); !ok {
		return "", fmt.Errorf("archive has no %s", name)
	}
	return "licence " + m.Licence + ", " + name + " present", nil
}

func checkInspect(ctx context.Context, h *Host, _ *Cartridge) (string, error) {
	info, err := h.InspectSelf(ctx)
	if err != nil {
		return "", err
	}
	if info.Engine == "" || len(info.Families) == 0 {
		return "", errors.New("inspect_self leaves out engine or families")
	}
	return info.Engine + ", abi " + info.ABI, nil
}

// probe runs one of the host's own tiny modules, inside the full sandbox and
// journalled like any run, under a purpose that tells it from those.
func (h *Host) probe(ctx context.Context, name string, wasm []byte, limits abi.Limits) (*abi.RunResult, error) {
	data, err := probeCartridge(ctx, name, wasm)
	if err != nil {
		return nil, err
	}
	c, err := OpenCartridgeBytes(ctx, data)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return h.Run(ctx, c, RunRequest{Limits: limits, purpose: journal.PurposeGenesis})
}

func checkProbeRuns(ctx context.Context, h *Host, _ *Cartridge) (string, error) {
	res, err := h.probe(ctx, "probe-result", probeResult(), abi.Limits{})
	if err != nil {
		return "", err
	}
	if !res.Success || string(res.Result) != "42" || res.Fuel == 0 {
		return "", fmt.Errorf("probe gave %s (%s), want 42", res.Result, res.Error)
	}
	return fmt.Sprintf("probe returned 42 for %d fuel", res.Fuel), nil
}

func checkProbeStopped(ctx context.Context, h *Host, _ *Cartridge) (string, error) {
	res, err := h.probe(ctx, "probe-loop", probeLoop(), abi.Limits{Fuel: 10_000_000})
	if err != nil {
		return "", err
	}
	if res.ErrorType != abi.ErrFuel {
		return "", fmt.Errorf("endless loop ended with %q, want %q", res.ErrorType, abi.ErrFuel)
	}
	return fmt.Sprintf("endless loop stopped after %d fuel", res.Fuel), nil
}

func checkJournal(ctx context.Context, h *Host, _ *Cartridge) (string, error) {
	log, err := h.Journal()
	if err != nil {
		return "", err
	}
	res, err := h.probe(ctx, "probe-result", probeResult(), abi.Limits{})
	if err != nil {
		return "", err
	}
	found := false
	for run, err := range journal.Runs(ctx, log, journal.RunQuery{}) {
		if err != nil {
			return "", err
		}
		found = found || run.ID == res.Run && run.End != nil
	}
	if !found {
		return "", errors.New("a run that took place has no begin and end in the journal")
	}
	view, err := log.View(ctx)
	if err != nil {
		return "", err
	}
	rep, err := view.Verify(ctx, nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d entries in an unbroken chain", rep.Entries), nil
}

func checkProbeConfined(ctx context.Context, h *Host, _ *Cartridge) (string, error) {
	res, err := h.probe(ctx, "probe-escape", probeEscape(), abi.Limits{})
	if err != nil {
		return "", err
	}
	var code int
	if err := json.Unmarshal(res.Result, &code); err != nil || !res.Success {
		return "", fmt.Errorf("probe gave %s (%s)", res.Result, res.Error)
	}
	if code == 100 {
		return "", errors.New("a guest opened /etc/passwd")
	}
	return fmt.Sprintf("opening ../../etc/passwd ended with WASI error %d", code-100), nil
}

// checkLogPicture draws the journal and reads the drawing back.
func checkLogPicture(ctx context.Context, h *Host, _ *Cartridge) (string, error) {
	log, err := h.Journal()
	if err != nil {
		return "", err
	}
	view, err := log.View(ctx)
	if err != nil {
		return "", err
	}
	var buf bytes.Buffer
	if err := view.Image(ctx, &buf, journal.ImageOptions{}); err != nil {
		return "", err
	}
	img, err := png.Decode(&buf)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("the log is a picture of %d × %d pixels", img.Bounds().Dx(), img.Bounds().Dy()), nil
}

// checkPixels has a common PNG library decode the cartridge to RGB values, encodes
// those anew, and finds every content again in that copy.
func checkPixels(ctx context.Context, _ *Host, c *Cartridge) (string, error) {
	if c.data == nil {
		return "too large to decode as a picture here; every content matches its SHA-256", verifyEntries(ctx, c)
	}
	img, err := png.Decode(bytes.NewReader(c.data))
	if err != nil {
		return "", fmt.Errorf("a common PNG decoder refuses it: %w", err)
	}
	again, err := reencode(ctx, img)
	if err != nil {
		return "", err
	}
	d, err := again.Digest(ctx)
	if err != nil {
		return "", err
	}
	if d.String() != c.digest {
		return "", fmt.Errorf("an independent copy of the pixels has digest %s", d)
	}
	for _, e := range again.Entries() {
		if e.Codec > pxa.XZ {
			continue
		}
		if _, err := again.ReadFile(e.Path); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d entries found again in an independent copy of the pixels", len(again.Entries())), nil
}

func reencode(ctx context.Context, img image.Image) (*pxa.Reader, error) {
	var buf bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&buf, img); err != nil {
		return nil, err
	}
	return pxa.OpenVerified(ctx, bytes.NewReader(buf.Bytes()), int64(buf.Len()), nil)
}

// checkCover changes one pixel of the cover and expects that to be noticed.
func checkCover(ctx context.Context, _ *Host, c *Cartridge) (string, error) {
	if c.data == nil {
		return "too large to decode as a picture here; the cover was checked when the cartridge was opened", nil
	}
	img, err := png.Decode(bytes.NewReader(c.data))
	if err != nil {
		return "", fmt.Errorf("a common PNG decoder refuses it: %w", err)
	}
	b := img.Bounds()
	forged := image.NewRGBA(b)
	draw.Draw(forged, b, img, b.Min, draw.Src)
	p := forged.RGBAAt(b.Min.X, b.Min.Y)
	p.R ^= 1
	forged.SetRGBA(b.Min.X, b.Min.Y, p)
	if _, err := reencode(ctx, forged); err == nil {
		return "", errors.New("a changed cover goes unnoticed")
	}
	return "a cover with one changed pixel is refused", nil
}
