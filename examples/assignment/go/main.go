// Where a user stands, as `modelrollout assign` says it: docs/reference/assignment.md.
// `go run . ../vectors.json` checks it against the published values.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"os"
	"strconv"

	"golang.org/x/crypto/blake2b"
)

// Place returns 0 to 2^64 - 1; an error for a key that is empty or longer than 64 bytes.
func Place(user, key string) (uint64, error) {
	if key == "" {
		return 0, fmt.Errorf("the key is empty")
	}
	hash, err := blake2b.New(8, []byte(key))
	if err != nil {
		return 0, err
	}
	hash.Write([]byte(user))
	return binary.BigEndian.Uint64(hash.Sum(nil)), nil
}

// Bucket returns "0000" to "9999": what the header carries.
func Bucket(user, key string) (string, error) {
	place, err := Place(user, key)
	if err != nil {
		return "", err
	}
	number, _ := bits.Mul64(place, 10000)
	return fmt.Sprintf("%04d", number), nil
}

// IsCandidates says whose a user is. weight: percent, such as 25 or 0.5.
func IsCandidates(user, key string, weight float64) (bool, error) {
	bucket, err := Bucket(user, key)
	if err != nil {
		return false, err
	}
	number, err := strconv.Atoi(bucket)
	return number < int(math.Round(weight*100)), err
}

type vector struct {
	Unit, Key, Place, Bucket string
	Arms                     map[string]string
}

func check(each vector) error {
	place, err := Place(each.Unit, each.Key)
	if err != nil {
		return err
	}
	bucket, _ := Bucket(each.Unit, each.Key)
	if found := fmt.Sprintf("%016x", place); found != each.Place || bucket != each.Bucket {
		return fmt.Errorf("%s %s, expected %s %s", found, bucket, each.Place, each.Bucket)
	}
	for text, arm := range each.Arms {
		weight, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		if in, _ := IsCandidates(each.Unit, each.Key, weight); in != (arm == "candidate") {
			return fmt.Errorf("not %s's at %s %%", arm, text)
		}
	}
	return nil
}

func main() {
	var file struct{ Vectors []vector }
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	for _, each := range file.Vectors {
		if wrong := check(each); wrong != nil {
			err = fmt.Errorf("%q under %q: %w", each.Unit, each.Key, wrong)
			break
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d vectors agree\n", len(file.Vectors))
}
