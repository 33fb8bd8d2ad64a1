// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	origin  = "ledger.example/gatebook"
	size    = 300
	proved  = 137
	emptied = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
)

type inclusion struct {
	Index int64            `json:"index"`
	Size  int64            `json:"size"`
	Proof tlog.RecordProof `json:"proof"`
}

type consistency struct {
	Old   int64          `json:"old"`
	New   int64          `json:"new"`
	Proof tlog.TreeProof `json:"proof"`
}

// stored keeps all hashes of the tree of `entry 0` to `entry 299` in tlog's order.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = s[index]
	}
	return found, nil
}

// vectors returns the file tests/vectors/ledger/vectors.json.
func vectors() []byte {
	var tree stored
	roots := []string{emptied}
	for n := int64(0); n < size; n++ {
		tree = append(tree, must(tlog.StoredHashes(n, entry(n), tree))...)
		roots = append(roots, must(tlog.TreeHash(n+1, tree)).String())
	}
	var inclusions []inclusion
	var consistencies []consistency
	for _, whole := range []int64{1, 2, 3, 7, 8, 255, 256, 257, 300} {
		for _, place := range []int64{0, 1, 2, 5, 127, 128, 254, 255, 256, 299} {
			if place < whole {
				inclusions = append(inclusions, inclusion{place, whole, must(tlog.ProveRecord(whole, place, tree))})
				consistencies = append(consistencies, consistency{place + 1, whole, must(tlog.ProveTree(whole, place+1, tree))})
			}
		}
	}
	skey, vkey := keys()
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, size, roots[size])
	checkpoint := string(must(note.Sign(&note.Note{Text: text}, must(note.NewSigner(skey)))))
	return append(must(json.MarshalIndent(map[string]any{
		"roots": roots, "inclusion": inclusions, "consistency": consistencies,
		"skey": skey, "vkey": vkey, "checkpoint": checkpoint, "receipt": receipt(tree, checkpoint),
	}, "", " ")), '\n')
}

func entry(n int64) []byte { return []byte(fmt.Sprintf("entry %d", n)) }

// keys returns signer and verifier key of the seed in docs/spec/ledger.md.
func keys() (string, string) {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(i)
	}
	vkey := must(note.NewEd25519VerifierKey(origin, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)))
	id := strings.Split(vkey, "+")[1]
	private := base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))
	return fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", origin, id, private), vkey
}

// receipt returns the C2SP tlog-proof of one entry.
func receipt(tree stored, checkpoint string) string {
	text := "c2sp.org/tlog-proof@v1\nextra " + base64.StdEncoding.EncodeToString(entry(proved))
	text += fmt.Sprintf("\nindex %d\n", proved)
	for _, hash := range must(tlog.ProveRecord(size, proved, tree)) {
		text += hash.String() + "\n"
	}
	return text + "\n" + checkpoint
}
