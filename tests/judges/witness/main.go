// SPDX-License-Identifier: Apache-2.0

// A stranger's eyes on cosignatures: torchwood, which is nobody's of us. It reads a checkpoint from standard
// input and verifies it with the verifier keys that it is given, the notary's first and then those of witnesses.
package main

import (
	"fmt"
	"io"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if err := judge(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "flaw:", err)
		os.Exit(1)
	}
}

func judge(notary string, witnesses []string) error {
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(notary)
	if err != nil {
		return err
	}
	verifiers := []note.Verifier{verifier}
	for _, key := range witnesses {
		one, err := torchwood.NewCosignatureVerifier(key)
		if err != nil {
			return err
		}
		verifiers = append(verifiers, one)
	}
	opened, err := note.Open(data, note.VerifierList(verifiers...))
	if err != nil {
		return err
	}
	if len(opened.Sigs) != len(verifiers) {
		return fmt.Errorf("%d of %d keys have signed", len(opened.Sigs), len(verifiers))
	}
	checkpoint, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return err
	}
	for _, signature := range opened.Sigs[1:] {
		time, err := torchwood.CosignatureTimestamp(signature)
		if err != nil {
			return err
		}
		fmt.Printf("%s %d %d\n", signature.Name, checkpoint.N, time)
	}
	return nil
}
