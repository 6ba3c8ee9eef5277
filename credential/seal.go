package credential

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Key seals secrets that have to be read again, such as those of code
// generators: AES-256-GCM (NIST SP 800-38D). It never goes into a store.
type Key struct {
	aead cipher.AEAD
	id   [8]byte
}

// ErrOtherKey says that something was sealed with another key, or is not what was sealed.
var ErrOtherKey = errors.New("sealed with another key")

const keyLen = 32

// LoadKey reads the key of a file: 64 hexadecimal digits. A file that is not
// there is fs.ErrNotExist.
func LoadKey(path string) (*Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != keyLen {
		return nil, fmt.Errorf("%s: a key is %d hexadecimal digits", path, 2*keyLen)
	}
	return newKey(raw)
}

func newKey(raw []byte) (*Key, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("vedette key\n"), raw...))
	return &Key{aead, [8]byte(sum[:])}, nil
}

// MakeKey writes a new key into a file that only its owner reads, unless one is
// there: of two that make it at once, both read the same.
func MakeKey(path string) (*Key, error) {
	raw := make([]byte, keyLen)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name()) // its content has the name it is for by then
	_, err = f.WriteString(hex.EncodeToString(raw) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) { // whole, or not at all
		return nil, err
	}
	return LoadKey(path)
}

// Seal encrypts a secret for a place: it opens nowhere else.
func (k *Key) Seal(place string, secret []byte) ([]byte, error) {
	nonce := make([]byte, k.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return k.aead.Seal(append(k.id[:], nonce...), nonce, secret, []byte(place)), nil
}

// Open decrypts what Seal made for the same place.
func (k *Key) Open(place string, sealed []byte) ([]byte, error) {
	n := len(k.id) + k.aead.NonceSize()
	if len(sealed) < n || string(sealed[:len(k.id)]) != string(k.id[:]) {
		return nil, ErrOtherKey
	}
	secret, err := k.aead.Open(nil, sealed[len(k.id):n], sealed[n:], []byte(place))
	if err != nil {
		return nil, ErrOtherKey
	}
	return secret, nil
}
