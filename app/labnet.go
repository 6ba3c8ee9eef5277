package app

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/scope"
	"github.com/vedette-hub/vedette/store"
)

type labInit struct {
	Internet string `help:"An internet of your own instead of the built-in one." placeholder:"FILE"`
	Bare     bool   `help:"Stamp the store only: no internet, no constituency."`
}

// Help is shown by --help.
func (labInit) Help() string {
	return "Examples:\n  vedette --data lab lab init\n  vedette --data lab lab serve\n  vedette --data lab survey run alder --yes\n\nWrites lab/internet.yaml (hosts, zones, what is wrong with them), lab/constituency.yaml, lab/truth.jsonl (what a perfect survey finds) and vedette.yaml (the lab's resolver) into the data folder. A stamped store touches loopback and nothing else, for ever."
}

// Run stamps the store and writes the lab's files.
func (c *labInit) Run(r *run) error {
	if err := r.store.System().StampLab(r.ctx); err != nil {
		return err
	}
	r.note("this store is a lab now: it takes made-up data, and touches loopback and nothing else")
	if c.Bare || store.IsURL(r.place()) && c.Internet == "" {
		return nil
	}
	text := lab.Default()
	if c.Internet != "" {
		var err error
		if text, err = os.ReadFile(c.Internet); err != nil {
			return err
		}
	}
	in, err := lab.Load(text)
	if err != nil {
		return err
	}
	if err := writeLab(r.Data, text, in); err != nil {
		return err
	}
	cs, err := in.Constituency()
	if err != nil {
		return err
	}
	sc, err := LabScope(r.ctx, r.store, r.p)
	if err != nil {
		return err
	}
	if err := sc.ApplyConstituents(r.ctx, cs, nil, scope.NewMap(cs).Owner, scope.Users(cs), map[string]string{"lab": "yes"}); err != nil {
		return err
	}
	r.note("wrote %s; begin it with `vedette --data %s lab serve`", filepath.Join(r.Data, "lab"), r.Data)
	return r.drain()
}

// writeLab writes the files of a lab. A configuration that is there stays.
func writeLab(dir string, text []byte, in *lab.Internet) error {
	folder := filepath.Join(dir, "lab")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file, err := in.ConstituencyFile()
	if err != nil {
		return err
	}
	var truth bytes.Buffer
	if err := in.WriteTruth(&truth); err != nil {
		return err
	}
	for name, body := range map[string][]byte{"internet.yaml": text, "constituency.yaml": file, "truth.jsonl": truth.Bytes()} {
		if err := os.WriteFile(filepath.Join(folder, name), body, 0o600); err != nil {
			return err
		}
	}
	if err := writeContent(labFile(dir, "content")); err != nil {
		return err
	}
	conf := filepath.Join(dir, "vedette.yaml")
	if _, err := os.Stat(conf); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(conf, fmt.Appendf(nil, `# The lab's: its resolver, the ports its hosts use, a pace that loopback bears.
survey:
  contact: csirt@hub.example
  resolvers: ["%s"]
  ports: "%s"
  connects: 200
  requests: 50
  per_network: 5000
  per_constituent: 5000
  timeout: 2s
  roots: "%s"
  content: "%s"
`, in.Resolver(), in.Ports(), labFile(dir, "roots.pem"), labFile(dir, "content")), 0o600)
}

// labFile is a file of the lab in a data folder, from wherever a command runs.
func labFile(dir, name string) string {
	path := filepath.Join(dir, "lab", name)
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// writeContent writes the fingerprints of the lab's invented software.
func writeContent(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files, err := lab.Content.ReadDir("content")
	if err != nil {
		return err
	}
	for _, f := range files {
		text, err := lab.Content.ReadFile("content/" + f.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

type labServe struct{}

// Help is shown by --help.
func (labServe) Help() string {
	return "Runs the lab's hosts, name server and tripwire on loopback until it is told to end. It follows lab/internet.yaml: change a version there to upgrade a host, take a service out to stop it. What touched the tripwire stands in lab/tripwire.jsonl."
}

// Run serves the internet of the data folder.
func (labServe) Run(r *run) error {
	if _, is, err := r.store.System().Lab(r.ctx); err != nil || !is {
		return errors.Join(err, vedette.Refused("%s is no lab: begin with `vedette lab init`", r.place()))
	}
	path := filepath.Join(r.Data, "lab", "internet.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return vedette.NotFound("%s: begin with `vedette lab init`", path)
	}
	in, err := lab.Load(text)
	if err != nil {
		return err
	}
	in.Log = func(format string, a ...any) { r.note("%s", fmt.Sprintf(format, a...)) }
	if err := in.Serve(r.ctx); err != nil {
		return err
	}
	defer in.Close()
	roots, err := in.Roots()
	if err == nil {
		err = os.WriteFile(labFile(r.Data, "roots.pem"), roots, 0o600)
	}
	if err != nil {
		return err
	}
	r.note("the lab runs; its resolver is %s", in.Resolver())
	go r.keepTrip(in)
	in.Watch(r.ctx, path, func(err error) {
		if err != nil {
			r.note("lab/internet.yaml: %v: nothing changed", err)
			return
		}
		r.note("lab/internet.yaml: took effect")
	})
	r.told = true
	return nil
}

// keepTrip writes what touched the tripwire, once a second when there is more.
func (r *run) keepTrip(in *lab.Internet) {
	for n := -1; ; {
		if touches := len(in.Tripwire().Touches()); touches != n {
			n = touches
			var b bytes.Buffer
			if err := in.Tripwire().Write(&b); err == nil {
				err = os.WriteFile(filepath.Join(r.Data, "lab", "tripwire.jsonl"), b.Bytes(), 0o600)
				if err != nil {
					r.note("tripwire: %v", err)
				}
			}
		}
		select {
		case <-r.ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}
