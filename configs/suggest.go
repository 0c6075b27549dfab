package configs

import (
	"strings"

	"github.com/agext/levenshtein"
)

// suggest returns the candidate that was probably meant, or "". The case of
// letters, "-" and "_" do not count as differences.
func suggest(written string, candidates []string) string {
	fold := func(s string) string {
		return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s))
	}
	const longest = 100 // nobody mistypes that much, and the distance is costly
	if len(written) > longest {
		return ""
	}
	written = fold(written)
	best, bestDistance := "", 0
	for _, candidate := range candidates {
		folded := fold(candidate)
		distance := levenshtein.Distance(written, folded, nil)
		// One slip in a short word, one in three letters of a long one.
		if distance > max(1, min(len(written), len(folded))/3) {
			continue
		}
		if best == "" || distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}
	return best
}

// didYouMean returns a sentence to append to a message, or "".
func didYouMean(suggestion string) string {
	if suggestion == "" {
		return ""
	}
	return "; did you mean " + suggestion + "?"
}
