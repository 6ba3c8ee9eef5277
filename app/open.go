package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/collect"
	"github.com/vedette-hub/vedette/knowledge"
	"github.com/vedette-hub/vedette/match"
	"github.com/vedette-hub/vedette/product"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/store"
)

// StoreOptions wire the thinking packages into a store.
func StoreOptions() store.Options {
	feeds, _ := collect.Public() // it is part of the program, and a test reads it
	return store.Options{
		Feeds: feeds,
		Say:   say, Fold: knowledge.Fold, Join: knowledge.Join,
		Names: product.Names, Affected: product.FromAffected,
		ByCheck: match.ByCheck, Settle: match.Settle, Clock: clock,
	}
}

// say decodes a kept record, with the aliases its products state.
func say(format string, body []byte) (vedette.Said, error) {
	f, err := read.ByName(format)
	if err != nil {
		return vedette.Said{}, err
	}
	said, err := f.Say(body)
	withProducts(&said)
	return said, err
}

// withProducts adds the aliases that statements make of their products, normalised.
func withProducts(said *vedette.Said) {
	for i := range said.Statements {
		st := &said.Statements[i]
		if st.Vulnerability != nil {
			st.Products = append(st.Products, product.Stated(*st.Vulnerability)...)
		}
		for j := range st.Products {
			a := &st.Products[j]
			a.From, a.To = product.Normalise(a.From), product.Normalise(a.To)
		}
	}
}

// place is where the store is: --db wins over --data.
func (g *Globals) place() string {
	if g.DB != "" {
		return g.DB
	}
	return g.Data
}

// open opens the store and finds out who acts.
func (g *Globals) open(ctx context.Context) (*store.Store, vedette.Principal, error) {
	opt := StoreOptions()
	opt.Secret = g.SecretFile
	s, err := store.Open(ctx, g.place(), opt)
	if err != nil {
		return nil, vedette.Principal{}, err
	}
	p, err := g.principal(ctx, s)
	if err != nil {
		s.Close()
		return nil, p, err
	}
	return s, p, nil
}

// firstAdmin makes the first users and tokens of a PostgreSQL store that has
// none yet, and may do nothing else: whoever holds the URL of an empty database
// could write them there anyway.
var firstAdmin = vedette.Principal{Name: "local", Roles: []vedette.Role{vedette.Admin}}

// principal: a token decides; without one the owner of an embedded folder acts
// as the user local, and PostgreSQL refuses once it has a token.
func (g *Globals) principal(ctx context.Context, s *store.Store) (vedette.Principal, error) {
	if g.TokenFile != "" {
		b, err := os.ReadFile(g.TokenFile)
		if err != nil {
			return vedette.Principal{}, fmt.Errorf("%w: token file: %w", vedette.ErrAuth, err)
		}
		return s.Authenticate(ctx, strings.TrimSpace(string(b)))
	}
	if store.IsURL(g.place()) {
		if unclaimed, err := s.Unclaimed(ctx); err != nil || unclaimed {
			return firstAdmin, err
		}
		return vedette.Principal{}, fmt.Errorf("%w: on PostgreSQL a token is required: --token-file or VEDETTE_TOKEN_FILE", vedette.ErrAuth)
	}
	if err := ownsFolder(g.Data); err != nil {
		return vedette.Principal{}, err
	}
	return vedette.Local(), nil
}

// ownsFolder: only the folder's owner is the user local.
func ownsFolder(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if uid, ok := ownerOf(info); ok && uid != os.Getuid() && os.Getuid() != 0 {
		return fmt.Errorf("%w: the data folder %s belongs to another user; use a token", vedette.ErrAuth, dir)
	}
	return nil
}
