package probe

import (
	"context"
	"net/http"
	"regexp"

	"github.com/vedette-hub/vedette"
)

// HTTPGit asks for the head of a Git repository (gitrepository-layout(5)) under
// the front page: who can read it can read the sources and what stands in them.
// Two controls tell it from a server that gives the same for every path.
var HTTPGit = Check{
	Name:  "http-git",
	About: "a Git repository that is served to everybody",
	Spec:  "gitrepository-layout(5)",
	Class: vedette.Active,
	For:   isWeb,
	Run:   runGit,
}

// gitHead is a symbolic reference, or the id of a commit.
var gitHead = regexp.MustCompile(`^(?:ref: refs/[\w./-]{1,200}|[0-9a-f]{40}|[0-9a-f]{64})\s*$`)

func isGitHead(p *page) bool { return p.status == http.StatusOK && gitHead.Match(p.body) }

func runGit(ctx context.Context, env *Env, s Subject, emit Emit) error {
	w := newSite(env, s)
	defer w.close()
	p, err := w.proof(ctx, "/.git/HEAD", isGitHead, "/.git/vedette-control-7b1f0c9e", controlPath+"HEAD")
	if err != nil || p == nil {
		return err
	}
	emit(vedette.Observation{Path: "/.git/", Fact: vedette.Fact{Service: "http", TLS: s.TLS, Banner: Banner(p.body, 256), Reports: []vedette.Report{{
		Weakness: "check:exposed-git", Verdict: vedette.Confirmed, Note: "/.git/HEAD is served, and paths that do not exist are not"}}}})
	return nil
}

// proof gets a path that shows a weakness. The page is nil when it does not, or
// when one of the controls, paths that no site has, shows the same.
func (w *site) proof(ctx context.Context, path string, shows func(*page) bool, controls ...string) (*page, error) {
	p, err := w.get(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := p.unfit(); err != nil {
		return nil, err
	}
	if !shows(p) {
		return nil, nil
	}
	for _, c := range controls {
		q, err := w.get(ctx, c)
		if err != nil {
			return nil, err
		}
		if err := q.unfit(); err != nil {
			return nil, err
		}
		if shows(q) {
			return nil, nil
		}
	}
	return p, nil
}
