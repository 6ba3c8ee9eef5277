package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/app"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/store"
)

const (
	clients  = 32
	pageGoal = 150 * time.Millisecond // p99 of W11
)

// pages is W11: every list and a detail of each, asked for by 32 clients of a
// hub that is a process of its own, over the estate.
func (b *bench) pages(e engine) error {
	place, clean, err := b.place(e)
	if err != nil {
		return err
	}
	defer clean()
	secret, paths, err := b.pageWorld(place)
	if err != nil {
		return err
	}
	base, ready, h, err := b.serve(place, secret)
	if err != nil {
		return err
	}
	defer func() {
		_ = h.Signal(syscall.SIGTERM)
		_, _ = h.Wait()
	}()
	fmt.Fprintf(b.out, "W11 start to ready\t%s\t%.2f s\t3 s (goal)\t%.2f\t\n", e, ready.Seconds(), ready.Seconds()/3)
	var there []string
	for _, p := range paths { // alone first: what one reader waits for
		took, err := b.ask(base, secret, []string{p}, 1, 5)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		there = append(there, p)
		fmt.Fprintf(b.out, "W11 alone %s\t%s\t%d ms\t50 ms a query\t%.2f\tof 5, the slowest %d ms\n", p, e, middle(took, 50).Milliseconds(), float64(middle(took, 50))/float64(50*time.Millisecond), middle(took, 100).Milliseconds())
	}
	took, err := b.ask(base, secret, there, clients, 10)
	if err != nil {
		return err
	}
	p50, p99 := middle(took, 50), middle(took, 99)
	fmt.Fprintf(b.out, "W11 pages, %d clients\t%s\tp99 %d ms\t%d ms (goal)\t%.2f\tp50 %d ms, %d requests of %d pages, resident %d MB\n", clients, e, p99.Milliseconds(), pageGoal.Milliseconds(), float64(p99)/float64(pageGoal), p50.Milliseconds(), len(took), len(there), resident(h.Pid))
	return nil
}

// pageWorld fills a store, and gives the secret of somebody who sees all of it
// with the pages to ask for.
func (b *bench) pageWorld(place string) (secret string, paths []string, err error) {
	s, err := store.Open(b.ctx, place, app.StoreOptions())
	if err != nil {
		return "", nil, err
	}
	defer s.Close()
	sc, w, err := b.known(s)
	if err != nil {
		return "", nil, err
	}
	if b.data != "" {
		if _, err := b.ingestFile(s, sc, filepath.Join(b.data, "vuln", "kev-2025-02-25.json.gz")); err != nil {
			return "", nil, err
		}
	}
	if _, err := app.TakeSurvey(b.ctx, sc, w, nil); err != nil {
		return "", nil, err
	}
	line := app.NewLine(s)
	if err := line.Drain(b.ctx); err != nil {
		return "", nil, err
	}
	if err := b.newlyExploited("pages", s, sc, line); err != nil {
		return "", nil, err
	}
	admin, err := s.As(b.ctx, vedette.Local())
	if err != nil {
		return "", nil, err
	}
	if err := admin.AddUser(b.ctx, vedette.Principal{Name: "reader", Roles: []vedette.Role{vedette.Lead, vedette.Analyst, vedette.Admin}}); err != nil {
		return "", nil, err
	}
	if secret, err = admin.AddToken(b.ctx, store.Token{Name: "bench", User: "reader", Role: vedette.API}); err != nil {
		return "", nil, err
	}
	paths, err = pagePaths(b.ctx, admin)
	return secret, paths, err
}

// pagePaths are the lists, some of their filters, and a detail of each.
func pagePaths(ctx context.Context, sc *store.Scoped) ([]string, error) {
	out := []string{"/", "/cves", "/cves/CVE-2026-99001", "/cases", "/cases?state=new", "/findings", "/findings?exploited=yes&presence=present", "/surface", "/assets", "/constituents", "/publications", "/surveys", "/audit", "/search?q=nginx"}
	cs, err := sc.Constituents(ctx)
	if err != nil || len(cs) == 0 {
		return nil, errors.Join(err, errors.New("no constituents"))
	}
	largest := cs[0].ID
	out = append(out, "/constituents/"+largest, "/findings?constituent="+largest, "/cases?constituent="+largest, "/assets?constituent="+largest)
	cases, _, err := sc.Cases(ctx, store.CaseFilter{Limit: 1})
	if err != nil || len(cases) == 0 {
		return nil, errors.Join(err, errors.New("no cases"))
	}
	fs, _, err := sc.Findings(ctx, store.FindingFilter{Constituent: cases[0].Constituent, Weakness: cases[0].Weakness, Limit: 1})
	if err != nil || len(fs) == 0 {
		return nil, errors.Join(err, errors.New("no findings"))
	}
	out = append(out, "/cases/"+cases[0].ID, "/findings/"+fs[0].ID)
	if fs[0].Asset != "" {
		out = append(out, "/assets/"+fs[0].Asset)
	}
	ps, err := sc.Publications(ctx, "", 1)
	if err == nil && len(ps) > 0 {
		out = append(out, "/publications/"+ps[0].ID)
	}
	return out, err
}

var listening = regexp.MustCompile(`msg=pages address=(\S+)`)

// serve starts a hub and waits until it is ready.
func (b *bench) serve(place, secret string) (base string, ready time.Duration, p *os.Process, err error) {
	dir, err := os.MkdirTemp("", "vedette-bench-*")
	if err != nil {
		return "", 0, nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		return "", 0, nil, err
	}
	where := []string{"--data", place}
	if store.IsURL(place) {
		where = []string{"--db", place, "--data", dir}
	}
	c := hubProcess(b.ctx, append(where, "--token-file", file, "serve", "--no-probe", "--listen", "127.0.0.1:0")...)
	c.Stderr = nil
	errs, err := c.StderrPipe()
	if err != nil {
		return "", 0, nil, err
	}
	begun := time.Now()
	if err := c.Start(); err != nil {
		return "", 0, nil, err
	}
	lines := bufio.NewScanner(errs)
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			ready = time.Since(begun)
			go func() { _, _ = io.Copy(os.Stderr, errs) }()
			return "http://" + m[1], ready, c.Process, nil
		}
		fmt.Fprintln(os.Stderr, lines.Text())
	}
	return "", 0, nil, errors.Join(errors.New("the hub ended before it listened"), c.Wait())
}

// ask has n clients ask for all pages so many times, each beginning elsewhere.
func (b *bench) ask(base, secret string, paths []string, n, times int) (took []time.Duration, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			client := safe.Client(safe.NewDialer(true, strings.TrimPrefix(base, "http://")).Operator, time.Minute, nil)
			for j := range len(paths) * times {
				d, aerr := one(b.ctx, client, base+paths[(i*7+j)%len(paths)], secret)
				mu.Lock()
				took, err = append(took, d), errors.Join(err, aerr)
				mu.Unlock()
				if aerr != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return took, err
}

// asker is the HTTP client of package safe.
type asker interface {
	Do(*http.Request) (*http.Response, error)
}

func one(ctx context.Context, c asker, url, secret string) (time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	begun := time.Now()
	resp, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK || n == 0 {
		err = errors.Join(err, fmt.Errorf("%s: %s, %d bytes", url, resp.Status, n))
	}
	return time.Since(begun), err
}

// middle is a percentile.
func middle(took []time.Duration, percent int) time.Duration {
	slices.Sort(took)
	return took[min(len(took)-1, len(took)*percent/100)]
}

// resident is the memory of a process, in MB; 0 where it cannot be read.
func resident(pid int) (mb int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var all, res int
	if _, err := fmt.Sscan(string(text), &all, &res); err != nil {
		return 0
	}
	return res * os.Getpagesize() >> 20
}
