package store

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/vedette-hub/vedette"
)

// A block holds records of one intake: a table of slots, each an offset and a
// length, then the bodies. Slots of one record with several statements share
// its range. It is cut at the border of a record.
const (
	blockSize  = 64 << 10
	blockSlots = 1 << 12
	// maxBody keeps one record within what a reader may have to decompress.
	maxBody = 64 << 20
)

var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err) // the options are constants
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*maxBody))
		if err != nil {
			panic(err)
		}
		return d
	})
)

// span is the place of a body in its block.
type span struct{ off, len uint32 }

// block collects records until it is full.
type block struct {
	slots []span
	body  []byte
}

func (b *block) full(next int) bool {
	return len(b.slots) > 0 && (len(b.body)+next > blockSize || len(b.slots) >= blockSlots-8)
}

// add keeps a body under n slots and returns the first.
func (b *block) add(body []byte, n int) int {
	at := span{uint32(len(b.body)), uint32(len(body))}
	b.body = append(b.body, body...)
	first := len(b.slots)
	for range max(n, 1) {
		b.slots = append(b.slots, at)
	}
	return first
}

func (b *block) encode() []byte {
	raw := binary.AppendUvarint(make([]byte, 0, len(b.body)+6*len(b.slots)+8), uint64(len(b.slots)))
	for _, s := range b.slots {
		raw = binary.AppendUvarint(raw, uint64(s.off))
		raw = binary.AppendUvarint(raw, uint64(s.len))
	}
	return encoder().EncodeAll(append(raw, b.body...), nil)
}

func decodeBlock(packed []byte) (*block, error) {
	raw, err := decoder().DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("block: %w", err)
	}
	n, w := binary.Uvarint(raw)
	if w <= 0 || n > blockSlots {
		return nil, vedette.Invalid("block: bad slot table")
	}
	raw = raw[w:]
	b := &block{slots: make([]span, n)}
	for i := range b.slots {
		for _, field := range []*uint32{&b.slots[i].off, &b.slots[i].len} {
			v, w := binary.Uvarint(raw)
			if w <= 0 {
				return nil, vedette.Invalid("block: bad slot %d", i)
			}
			*field, raw = uint32(v), raw[w:]
		}
	}
	b.body = raw
	for i, s := range b.slots {
		if uint64(s.off)+uint64(s.len) > uint64(len(raw)) {
			return nil, vedette.Invalid("block: slot %d ends after the block", i)
		}
	}
	return b, nil
}

func (b *block) slot(i int64) ([]byte, error) {
	if i < 0 || i >= int64(len(b.slots)) {
		return nil, vedette.Invalid("block has no slot %d", i)
	}
	s := b.slots[i]
	return b.body[s.off : s.off+s.len], nil
}

// A claim's key tells where its body is: intake<<32 | block<<12 | slot.
func claimKey(intake, block, slot int64) int64 { return intake<<32 | block<<12 | slot }
func claimIntake(k int64) int64                { return k >> 32 }
func claimBlock(k int64) int64                 { return k>>32<<20 | k>>12&(1<<20-1) }
func claimSlot(k int64) int64                  { return k & (blockSlots - 1) }

// bodies reads bodies of claims, keeping the last few blocks open: claims of
// one object are often neighbours of the next object's.
type bodies struct {
	q      querier
	blocks map[int64]*block
	format map[int64]string // by intake
}

func newBodies(q querier) *bodies {
	return &bodies{q: q, blocks: map[int64]*block{}, format: map[int64]string{}}
}

// read gives the body of a claim and the format that can say it.
func (b *bodies) read(claim int64) (format string, body []byte, slot int64, err error) {
	bl, err := b.block(claimBlock(claim))
	if err != nil {
		return "", nil, 0, err
	}
	if body, err = bl.slot(claimSlot(claim)); err != nil {
		return "", nil, 0, err
	}
	in := claimIntake(claim)
	format, ok := b.format[in]
	if !ok {
		if _, err := one(b.q, "select terms.text from intakes join terms on terms.k = intakes.format_k where intakes.k = ?", []any{in}, &format); err != nil {
			return "", nil, 0, err
		}
		b.format[in] = format
	}
	// which of the statements of the record: how many slots before it share its range
	for i := claimSlot(claim) - 1; i >= 0 && bl.slots[i] == bl.slots[claimSlot(claim)]; i-- {
		slot++
	}
	return format, body, slot, nil
}

func (b *bodies) block(k int64) (*block, error) {
	if bl, ok := b.blocks[k]; ok {
		return bl, nil
	}
	var packed []byte
	found, err := one(b.q, "select body from blocks where k = ?", []any{k}, &packed)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, vedette.NotFound("block %d: purged, or the store is damaged", k)
	}
	bl, err := decodeBlock(packed)
	if err != nil {
		return nil, err
	}
	if len(b.blocks) >= 64 {
		clear(b.blocks)
	}
	b.blocks[k] = bl
	return bl, nil
}
