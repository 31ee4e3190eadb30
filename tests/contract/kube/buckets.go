// Compares each of the expressions on standard input, one for each weight from 0 on, with all buckets.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
)

func main() {
	var every []string
	if err := json.NewDecoder(os.Stdin).Decode(&every); err != nil {
		panic(err)
	}
	buckets := make([]string, 10000)
	for n := range buckets {
		buckets[n] = fmt.Sprintf("%04d", n)
	}
	for weight, text := range every {
		expression := regexp.MustCompile(text)
		for n, bucket := range buckets {
			if expression.MatchString(bucket) != (n < weight) {
				fmt.Printf("%s at %s\n", text, bucket)
				os.Exit(1)
			}
		}
	}
}
