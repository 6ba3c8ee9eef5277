package probe

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette"
)

// redis is the protocol of Redis, Valkey and their kin (RESP): a command is an
// array of strings, an error begins with "-".
var redis = &protocol{
	name:     "redis",
	spec:     "RESP 2",
	ports:    []uint16{6379, 6380, 16379, 26379},
	tlsPorts: []uint16{6380, 6379},
	hello:    func(*peer) []byte { return []byte("*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n") },
	answers: func(head []byte) bool {
		return bytes.HasPrefix(head, []byte("-ERR wrong number of arguments for")) || bytes.HasPrefix(head, []byte("-ERR unknown command")) ||
			bytes.HasPrefix(head, []byte("-NOAUTH")) || bytes.HasPrefix(head, []byte("-DENIED"))
	},
	// In protected mode it speaks first, to whom it does not serve.
	greets: func(head []byte) bool {
		return bytes.HasPrefix(head, []byte("-DENIED Redis")) || bytes.HasPrefix(head, []byte(redisFull))
	},
	read: readRedis,
}

const redisFull = "-ERR max number of clients"

// redisFields are what is kept of INFO; the rest changes, or is nobody's business.
var redisFields = []string{"redis_version", "valkey_version", "keydb_version", "dragonfly_version", "server_name", "redis_mode", "os", "arch_bits"}

func readRedis(p *peer) (vedette.Fact, bool) {
	first, ok := p.line()
	if !ok {
		return vedette.Fact{}, false
	}
	if p.busy = strings.HasPrefix(first, redisFull) || strings.HasPrefix(first, "-LOADING"); p.busy {
		return vedette.Fact{}, false
	}
	size, ok := strings.CutPrefix(first, "$")
	if !ok {
		return vedette.Fact{Banner: Banner([]byte(first), MaxBanner)}, redisError(first)
	}
	n, err := strconv.Atoi(size)
	if err != nil || n <= 0 || n > maxAnswer/2 {
		return vedette.Fact{}, false
	}
	b, ok := p.take(n)
	if !ok || !bytes.Contains(b, []byte("# Server")) {
		return vedette.Fact{}, false
	}
	info := map[string]string{}
	for l := range strings.SplitSeq(string(b), "\n") {
		k, v, _ := strings.Cut(strings.TrimSpace(l), ":")
		info[k] = v
	}
	var shown []string
	for _, k := range redisFields {
		if info[k] != "" {
			shown = append(shown, k+":"+info[k])
		}
	}
	banner := Banner([]byte(strings.Join(shown, "\n")), MaxBanner)
	told := redisSoftware(info)
	if len(told) == 1 && told[0].Product == "redis" {
		told = p.software("redis.version", info["redis_version"], told...)
	}
	return vedette.Fact{
		Banner:   banner,
		Software: p.software("", "", told...),
		Reports:  []vedette.Report{report("check:redis-no-auth", "The server answered INFO to a client that gave no password.")},
	}, true
}

// redisError says whether an error is one that INFO gets when it is not allowed.
func redisError(l string) bool {
	for _, e := range []string{"-NOAUTH", "-DENIED", "-NOPERM", "-MASTERDOWN", "-ERR operation not permitted", "-ERR unknown command"} {
		if strings.HasPrefix(l, e) {
			return true
		}
	}
	return false
}

// redisSoftware is whose server it is: the kin keep redis_version for their clients.
func redisSoftware(info map[string]string) []vedette.Software {
	for _, k := range []struct{ field, vendor, product string }{
		{"valkey_version", "lfprojects", "valkey"}, {"keydb_version", "snap", "keydb"}, {"dragonfly_version", "dragonflydb", "dragonfly"}, {"redis_version", "redis", "redis"},
	} {
		if v := info[k.field]; v != "" {
			return []vedette.Software{{Vendor: k.vendor, Product: k.product, Version: strings.TrimPrefix(strings.TrimPrefix(v, "df-"), "v")}}
		}
	}
	return nil
}
