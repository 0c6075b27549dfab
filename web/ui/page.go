package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

//go:embed all:static
var static embed.FS

// Config configures a [Page].
type Config struct {
	// API is where the API is, below which "notifications" and "signals" are:
	// relative to the root of the page, or an absolute path. It ends with a slash.
	// Defaults to "api/".
	API string
	// AppURL is what relative links of notifications are resolved against, http or
	// https. Defaults to the root of the page.
	AppURL string
}

func (c Config) validate() error {
	if u, err := url.Parse(c.API); err != nil || u.Scheme != "" || u.Host != "" || u.RawQuery != "" || !strings.HasSuffix(u.Path, "/") {
		return fmt.Errorf("ui: API %q is not a path that ends with a slash", c.API)
	}
	if u, err := url.Parse(c.AppURL); c.AppURL != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
		return errors.New("ui: AppURL is not an http or https URL")
	}
	return nil
}

// documentPaths are the addresses at which the page itself is, as Fiber patterns: its
// scripts show what the address says.
var documentPaths = []string{"/", "/settings", "/admin", "/admin/*"}

// maxDepth is how many slashes, besides the first, the path of a document may have.
const maxDepth = 3

// assetsPath is where the files are, in a folder that is named after their content.
const assetsPath = "/assets/"

// Page serves the web page. Its methods may be called concurrently.
type Page struct {
	// version names the content of all assets together.
	version   string
	assets    map[string]*asset
	documents [maxDepth + 1]*asset
	// bell has the files that foreign pages load.
	bell map[string]*asset
}

// New reads the embedded files. It compresses none of them: that is done when
// somebody asks.
func New(config Config) (*Page, error) {
	if config.API == "" {
		config.API = "api/"
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	p := &Page{assets: make(map[string]*asset), bell: make(map[string]*asset)}
	var names []string
	all := sha256.New()
	err := fs.WalkDir(static, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "static/")
		kind, ok := contentTypes[path.Ext(name)]
		if !ok || name == documentName || p.takeBell(name, kind, content) {
			return nil
		}
		// What others wrote stays as they wrote it.
		if path.Ext(name) == ".js" && !strings.HasPrefix(name, "vendor/") {
			content = slimmed(content)
		}
		names = append(names, name)
		_, _ = fmt.Fprintf(all, "%s %d\n", name, len(content)) // a hash takes everything
		_, _ = all.Write(content)
		p.assets[name] = newAsset(kind, content)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	p.version = hex.EncodeToString(all.Sum(nil))[:12]
	return p, p.renderDocuments(config, names)
}

// documentName is the template of the document.
const documentName = "index.html"

// renderDocuments makes the document as it is at each depth of the address, because
// what it refers to is relative to that.
func (p *Page) renderDocuments(config Config, names []string) error {
	document, err := template.ParseFS(static, "static/"+documentName)
	if err != nil {
		return fmt.Errorf("ui: %w", err)
	}
	var modules, styles []string
	for _, name := range names {
		switch path.Ext(name) {
		case ".js":
			// The others are fetched by those who need them.
			if isStartup(name) {
				modules = append(modules, name)
			}
		case ".css":
			styles = append(styles, name)
		}
	}
	for depth := range p.documents {
		var text bytes.Buffer
		root := strings.Repeat("../", depth)
		if depth == 0 {
			root = "./"
		}
		err := document.Execute(&text, map[string]any{
			"Assets": root + assetsPath[1:] + p.version + "/", "Modules": modules, "Styles": styles, "API": config.API, "App": config.AppURL,
		})
		if err != nil {
			return fmt.Errorf("ui: %w", err)
		}
		p.documents[depth] = newAsset(contentTypes[".html"], text.Bytes())
	}
	return nil
}

// isStartup reports whether the inbox needs a script.
func isStartup(name string) bool {
	return !slices.ContainsFunc([]string{"js/settings/", "js/admin/", "i18n/"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	}) && name != themeName
}

// themeName is the one script that is no module: it runs before anything is painted.
const themeName = "theme.js"

// Paths lists where the page and its files are, as Fiber patterns.
func (p *Page) Paths() []string {
	return slices.Concat(documentPaths, bellPaths(), []string{assetsPath + "*"})
}

// Handle answers a request for one of the paths. It returns [fiber.ErrNotFound] for a
// file that there is not.
func (p *Page) Handle(c *fiber.Ctx) error {
	found, caching := p.find(c.Path())
	if found == nil {
		return fiber.ErrNotFound
	}
	secure(c)
	if found == p.bell[bellScript] {
		share(c)
	}
	c.Set(fiber.HeaderCacheControl, caching)
	return found.serve(c)
}

// The values of Cache-Control.
const (
	// cacheForever is for files whose address changes with their content.
	cacheForever = "public, max-age=31536000, immutable"
	// cacheChecked asks every time whether it is still so.
	cacheChecked = "no-cache"
	// cacheNever is for files of another version than the address says.
	cacheNever = "no-store"
)

func (p *Page) find(at string) (found *asset, caching string) {
	if rest, ok := strings.CutPrefix(at, assetsPath); ok {
		version, name, _ := strings.Cut(rest, "/")
		if version == p.version {
			return p.assets[name], cacheForever
		}
		// While instances are replaced one by one, a new document may reach an old
		// instance. What it has is better than nothing, for once.
		return p.assets[name], cacheNever
	}
	if found := p.findBell(at); found != nil {
		return found, cacheChecked
	}
	depth := strings.Count(at, "/") - 1
	if depth < 0 || depth > maxDepth {
		return nil, ""
	}
	return p.documents[depth], cacheChecked
}
