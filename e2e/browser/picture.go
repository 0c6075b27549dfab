package browser

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// Picture writes what the tab shows to a file.
func (p *Tab) Picture(file string) error {
	var content []byte
	if err := p.Try(chromedp.CaptureScreenshot(&content)); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600) //nolint:gosec // a test names it
}

var folder = flag.String("screenshots", "", "folder to write the pictures for the documentation to")

// Album is where the pictures for the documentation go.
type Album struct {
	t      testing.TB
	folder string
}

// NewAlbum skips the test unless pictures are asked for, by -screenshots.
func NewAlbum(t testing.TB) *Album {
	t.Helper()
	if *folder == "" {
		t.Skip("makes pictures only with -screenshots")
	}
	if err := os.MkdirAll(*folder, 0o750); err != nil {
		t.Fatal(err)
	}
	return &Album{t: t, folder: *folder}
}

// Take adds a picture of what a tab shows, once nothing moves any more.
func (a *Album) Take(p *Tab, name string) {
	a.t.Helper()
	p.Settle()
	file := filepath.Join(a.folder, name+".png")
	if err := errors.Join(p.Picture(file), shrink(file)); err != nil {
		a.t.Fatal(err)
	}
}

// Settle waits until all that moves has arrived. What goes on for ever may.
func (p *Tab) Settle() {
	p.T.Helper()
	p.Wait(`document.getAnimations().every((a) => a.playState !== 'running' || a.effect.getComputedTiming().iterations === Infinity)`)
}

// shrink reduces a picture to 256 colours, which is plenty for a page, and less than
// half the size: the most frequent ones, and before greys those that stand out.
func shrink(file string) error {
	content, err := os.ReadFile(file) //nolint:gosec // the picture that was just taken
	if err != nil {
		return err
	}
	picture, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		return err
	}
	counts := map[color.Color]int{}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[picture.At(x, y)]++
		}
	}
	weight := func(c color.Color) int {
		r, g, b, _ := c.RGBA()
		return counts[c] * (1 + int(max(r, g, b)-min(r, g, b))>>10)
	}
	colors := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int {
		return cmp.Or(weight(b)-weight(a), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	small := image.NewPaletted(bounds, colors[:min(256, len(colors))])
	draw.Draw(small, bounds, picture, bounds.Min, draw.Src)
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, small); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o600)
}
