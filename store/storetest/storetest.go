// Package storetest gives tests a store on each engine: always SQLite in a
// folder of the test, and PostgreSQL in a database of the test when
// VEDETTE_TEST_PG names a server.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"net/url"
	"os"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the PostgreSQL driver

	"github.com/vedette-hub/vedette/store"
)

// SkipPG is what a test says that PostgreSQL was not there for; CI looks for it.
const SkipPG = "VEDETTE_TEST_PG is not set: not run on PostgreSQL"

// Each runs a test once for each engine, at a place where a new store can be opened.
func Each(t *testing.T, f func(t *testing.T, place string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, t.TempDir()) })
	t.Run("postgres", func(t *testing.T) { f(t, Postgres(t)) })
}

// Postgres makes an empty database that goes with the test.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv("VEDETTE_TEST_PG")
	if server == "" {
		t.Skip(SkipPG)
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	var raw [6]byte
	if _, err := rand.Read(raw[:]); err != nil {
		t.Fatal(err)
	}
	name := "vedette_test_" + hex.EncodeToString(raw[:])
	if _, err := db.Exec("create database " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("drop database " + name + " with (force)"); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// Open opens a store for a test and closes it at the end.
func Open(t testing.TB, place string, opt store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), place, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
