package safe

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Client makes an HTTP client that goes out through a dial function of the one
// dialer and by no other way: no proxy of the environment, no redirects (the
// answer that asks for one is the answer), no cookies, no connection that is
// kept, 64 KiB of headers. config, when set, is whom TLS trusts.
func Client(dial func(ctx context.Context, network, address string) (net.Conn, error), timeout time.Duration, config *tls.Config) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dial, TLSClientConfig: config, TLSHandshakeTimeout: timeout, DisableKeepAlives: true, DisableCompression: true,
			MaxResponseHeaderBytes: 64 << 10, MaxConnsPerHost: 8,
		},
	}
}
