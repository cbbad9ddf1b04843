package route

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sort"
)

// Picker chooses one of a trigger's functions by their weights. It is immutable
// and safe for concurrent use.
type Picker struct {
	total   uint64
	choices []choice
}

// choice is one function to pick.
type choice struct {
	// below is the sum of the weights up to and including this one.
	below uint64
	// weight is the function's own.
	weight uint64
	// id is the hash of the function's reference.
	id uint64
}

// NewPicker checks the functions and their weights. The index that Pick and
// PickKey return is one of functions.
func NewPicker(functions []Weighted) (*Picker, error) {
	p, err := newPicker(functions)
	if err != nil {
		return nil, err
	}
	return &p, nil
}

func newPicker(functions []Weighted) (Picker, error) {
	if len(functions) == 0 {
		return Picker{}, errors.New("there is no function")
	}
	p := Picker{choices: make([]choice, len(functions))}
	seen := make(map[string]bool)
	for i, f := range functions {
		ref := f.Ref.String()
		if err := f.Ref.Validate(); err != nil {
			return Picker{}, fmt.Errorf("function %q: %w", ref, err)
		}
		if len(functions) > 1 && seen[ref] {
			return Picker{}, fmt.Errorf("function %s is named twice", ref)
		}
		if len(functions) > 1 {
			seen[ref] = true
		}
		if f.Weight < 0 {
			return Picker{}, fmt.Errorf("function %s has the negative weight %d", ref, f.Weight)
		}
		p.total += uint64(f.Weight)
		if p.total > math.MaxInt64 {
			return Picker{}, errors.New("the weights sum up to more than 63 bits hold")
		}
		p.choices[i] = choice{below: p.total, weight: uint64(f.Weight), id: mix(hash(ref))}
	}
	if p.total == 0 {
		return Picker{}, errors.New("the weights sum up to 0: no function would get a request")
	}
	return p, nil
}

// Pick returns the index of a function. With rnd uniform over 64 bits, each is
// picked in proportion to its weight (to within 2^-64 of the sum of weights);
// one of weight 0 never is.
func (p *Picker) Pick(rnd uint64) int {
	if len(p.choices) == 1 {
		return 0
	}
	at, _ := bits.Mul64(rnd, p.total)
	return sort.Search(len(p.choices), func(i int) bool { return p.choices[i].below > at })
}

// PickKey returns the index of the function that the key belongs to. It depends
// on nothing but the key, the functions' references and their weights: it is the
// same in every process, on every replica and in any order of the functions.
// Keys spread in proportion to the weights. Raising one function's weight moves
// keys only to it, lowering it only away from it.
//
// It is weighted rendezvous hashing: each function scores -weight/ln(u) with u
// drawn from (0,1) by the hash of function and key, and the highest score wins.
// Rendezvous: Thaler and Ravishankar, "Using name-based mappings to increase hit
// rates", IEEE/ACM Transactions on Networking 6(1), 1998. The logarithmic
// weights: Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA
// 2005; in this form: Resch, "New hashing algorithms for data storage", SNIA SDC
// 2015.
func (p *Picker) PickKey(key string) int {
	if len(p.choices) == 1 {
		return 0
	}
	h := hash(key)
	best, bestScore := -1, math.Inf(-1)
	for i := range p.choices {
		c := &p.choices[i]
		if c.weight == 0 {
			continue
		}
		score := -float64(c.weight) / math.Log(unit(mix(h^c.id)))
		if score > bestScore || score == bestScore && c.id < p.choices[best].id {
			best, bestScore = i, score
		}
	}
	return best
}

// unit maps a hash to the open interval (0,1).
func unit(h uint64) float64 { return (float64(h>>12) + 0.5) / (1 << 52) }

// hash is FNV-1a of 64 bits (hash/fnv without its allocation). hash/maphash
// would not do: its seed is another one in every process.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the finalizer of MurmurHash3: FNV's high bits hardly depend on the last
// bytes of a short key, and after this they depend on all.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
