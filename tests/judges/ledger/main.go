// SPDX-License-Identifier: Apache-2.0

// A stranger's eyes on a ledger: golang.org/x/mod/sumdb reads the folder that Gatebook wrote, and says what it checked.
//
//	ledger check FOLDER VKEY [OLDER CHECKPOINT | PROOF.tlog-proof]...
//	ledger vectors
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func main() {
	if len(os.Args) == 2 && os.Args[1] == "vectors" {
		must(os.Stdout.Write(vectors()))
		return
	}
	if len(os.Args) < 4 || os.Args[1] != "check" {
		fail("usage: ledger check FOLDER VKEY [FILE]..., or: ledger vectors")
	}
	folder, key := folder(os.Args[2]), must(note.NewVerifier(os.Args[3]))
	tree := open(key, folder.read("checkpoint"))
	fmt.Printf("checkpoint: %d entries, signed by %s\n", tree.N, key.Name())
	hashes := tlog.TileHashReader(tree, folder)
	checkRoot(tree, hashes)
	checkEntries(tree, folder, hashes)
	checkProofs(tree, hashes)
	for _, file := range os.Args[4:] {
		data := must(os.ReadFile(file))
		if strings.HasSuffix(file, ".tlog-proof") {
			checkReceipt(key, data)
		} else {
			checkOlder(tree, open(key, data), hashes)
		}
	}
}

// open returns the tree of a signed checkpoint.
func open(key note.Verifier, data []byte) tlog.Tree {
	opened := must(note.Open(data, note.VerifierList(key)))
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != key.Name() {
		fail("a checkpoint of another ledger, or with other lines")
	}
	return tlog.Tree{N: must(strconv.ParseInt(lines[1], 10, 64)), Hash: must(tlog.ParseHash(lines[2]))}
}

func checkRoot(tree tlog.Tree, hashes tlog.HashReader) {
	if tree.N == 0 { // tlog has no root of the empty tree in all its versions
		same("root", tree.Hash, must(tlog.ParseHash("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")))
		return
	}
	same("root", tree.Hash, must(tlog.TreeHash(tree.N, hashes)))
	fmt.Println("root: the one that the tiles give")
}

// checkEntries hashes every entry of every bundle and compares it with its place in the tree.
func checkEntries(tree tlog.Tree, folder folder, hashes tlog.HashReader) {
	for first := int64(0); first < tree.N; first += 1 << height {
		width := int(min(1<<height, tree.N-first))
		data := folder.read(path("entries", first>>height, width))
		indexes := make([]int64, width)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		for i, stored := range must(hashes.ReadHashes(indexes)) {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				fail("a bundle ends before entry", first+int64(i))
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			same(fmt.Sprint("entry ", first+int64(i)), stored, tlog.RecordHash(data[2:end]))
			data = data[end:]
		}
		if len(data) != 0 {
			fail("a bundle goes on behind its entries from", first)
		}
	}
	fmt.Printf("entries: %d, each with the hash that the tree has\n", tree.N)
}

// checkProofs proves entries and older sizes all over the tree.
func checkProofs(tree tlog.Tree, hashes tlog.HashReader) {
	places := map[int64]bool{}
	for _, place := range []int64{0, 1, 137, 255, 256, 257, 65535, 65536, tree.N / 2, tree.N - 2, tree.N - 1} {
		if 0 <= place && place < tree.N {
			places[place] = true
		}
	}
	for place := range places {
		hash := must(hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, place)}))[0]
		proof := must(tlog.ProveRecord(tree.N, place, hashes))
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, place, hash))
		older := tlog.Tree{N: place + 1, Hash: must(tlog.TreeHash(place+1, hashes))}
		check(tlog.CheckTree(must(tlog.ProveTree(tree.N, older.N, hashes)), tree.N, tree.Hash, older.N, older.Hash))
	}
	fmt.Printf("proofs: inclusion of %d entries, consistency with as many older sizes\n", len(places))
}

func checkOlder(tree, older tlog.Tree, hashes tlog.HashReader) {
	if older.N > tree.N {
		fail("an older checkpoint has more entries:", older.N)
	}
	if older.N > 0 {
		check(tlog.CheckTree(must(tlog.ProveTree(tree.N, older.N, hashes)), tree.N, tree.Hash, older.N, older.Hash))
	}
	fmt.Printf("older checkpoint: the ledger begins with its %d entries\n", older.N)
}

// checkReceipt verifies a C2SP tlog-proof by itself.
func checkReceipt(key note.Verifier, data []byte) {
	head, checkpoint, _ := strings.Cut(string(data), "\n\n")
	lines := strings.Split(head, "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		fail("not a tlog-proof")
	}
	entry := must(base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra ")))
	index := must(strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64))
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		proof = append(proof, must(tlog.ParseHash(line)))
	}
	tree := open(key, []byte(checkpoint))
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
	fmt.Printf("receipt: entry %d is in the ledger of %d\n", index, tree.N)
}

// folder is a ledger on disk, as the tiles that tlog asks for.
type folder string

func (f folder) read(name string) []byte { return must(os.ReadFile(filepath.Join(string(f), name))) }

func (f folder) Height() int { return height }

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data[i] = f.read(path(strconv.Itoa(tile.L), tile.N, tile.W))
	}
	return data, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

// path names a file as C2SP does: tlog's own name without the height, and entries where tlog says data.
func path(kind string, index int64, width int) string {
	name := tlog.Tile{H: height, L: 0, N: index, W: width}.Path()
	return "tile/" + kind + strings.TrimPrefix(name, "tile/8/0")
}

func same(what string, one, other tlog.Hash) {
	if one != other {
		fail(what, "has another hash than the tree says")
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(words ...any) {
	fmt.Fprintln(os.Stderr, append([]any{"flaw:"}, words...)...)
	os.Exit(1)
}
