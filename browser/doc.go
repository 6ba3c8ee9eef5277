// Package browser looks at the pages through a real browser: its tests start
// the program, sign in by the link it prints, and press what a person presses.
// They need Chromium, whose path is in VEDETTE_TEST_BROWSER, and skip without
// one. The browser resolves no name and reaches loopback alone.
package browser
