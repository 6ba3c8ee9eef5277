package feed

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// Folder looks into a folder for files that are new or changed. It moves and
// deletes none; what the folder below them holds and what links lead to is not
// looked at. A writer of large files writes beside them, as name.part or .name,
// and renames at the end.
type Folder struct {
	// Allowed are the folders that feeds may look into, with what is below.
	Allowed []string

	mu   sync.Mutex
	seen map[string]map[string]stamp // by feed, by file: saves reading them all each time
}

// stamp tells that a file was not written since.
type stamp struct {
	size     int64
	modified time.Time
}

// maxFiles is how many files of one folder are looked at.
const maxFiles = 100_000

// Fetch hands over every file that was not seen before by this process, the
// oldest first; who keeps them knows their content.
func (d *Folder) Fetch(ctx context.Context, f vedette.Feed, since Marks, keep func(Document) error) (Marks, error) {
	if err := d.may(f.Path); err != nil {
		return since, err
	}
	root, err := os.OpenRoot(f.Path)
	if err != nil {
		return since, vedette.Unavailable("%s", safe.Reason(err))
	}
	defer root.Close()
	files, err := list(root)
	if err != nil {
		return since, vedette.Unavailable("%s", safe.Reason(err))
	}
	there := map[string]stamp{}
	defer func() { d.remember(f, there) }()
	for _, x := range files {
		is := stamp{x.Size(), x.ModTime()}
		if d.knows(f, x.Name(), is) {
			there[x.Name()] = is
			continue
		}
		if err := ctx.Err(); err != nil {
			return since, err
		}
		if err := hand(root, x.Name(), limitOf(f), keep); err != nil {
			return since, err
		}
		there[x.Name()] = is
	}
	return since, nil
}

// may says whether the operator lets feeds look there.
func (d *Folder) may(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return vedette.Unavailable("%s", safe.Reason(err))
	}
	for _, a := range d.Allowed {
		allowed, err := filepath.EvalSymlinks(a)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(allowed, real); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return nil
		}
	}
	return vedette.Refused("%s is not in a folder that the configuration names under feeds.folders", safe.Label(path))
}

// list are the plain files, the oldest first.
func list(root *os.Root) ([]fs.FileInfo, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxFiles)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var out []fs.FileInfo
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), ".part") || strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		if info, err := e.Info(); err == nil { // else it went meanwhile
			out = append(out, info)
		}
	}
	slices.SortFunc(out, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	return out, nil
}

func hand(root *os.Root, name string, limit int64, keep func(Document) error) error {
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return vedette.Unavailable("%s", safe.Reason(err))
	}
	defer f.Close()
	return keep(Document{Name: safe.Label(name), Body: &body{ctx: context.Background(), r: f, left: limit, moved: func() {}}})
}

func (d *Folder) knows(f vedette.Feed, name string, is stamp) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was, ok := d.seen[f.Name+"\x00"+f.Path][name]
	return ok && was.size == is.size && was.modified.Equal(is.modified)
}

func (d *Folder) remember(f vedette.Feed, there map[string]stamp) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[string]map[string]stamp{}
	}
	d.seen[f.Name+"\x00"+f.Path] = there
}
