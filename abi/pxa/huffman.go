package pxa

import (
	"math/bits"
	"slices"
)

const maxCodeBits = 15

// codeLengths gives Huffman code lengths of at most limit bits for symbols
// with the given counts; ties go to the lower symbol. At least two symbols
// get a code, as some inflaters want.
func codeLengths(counts []int, limit int) []uint8 {
	counts = slices.Clone(counts)
	used := 0
	for _, n := range counts {
		if n > 0 {
			used++
		}
	}
	for s := 0; used < 2; s++ {
		if counts[s] == 0 {
			counts[s] = 1
			used++
		}
	}
	for {
		lengths := treeDepths(counts)
		if int(slices.Max(lengths)) <= limit {
			return lengths
		}
		for s, n := range counts { // a flatter distribution, until it fits
			if n > 0 {
				counts[s] = n/2 + 1
			}
		}
	}
}

// treeDepths gives the depth of every used symbol in a Huffman tree.
func treeDepths(counts []int) []uint8 {
	type node struct{ count, left, right, symbol int }
	var nodes []node
	for s, n := range counts {
		if n > 0 {
			nodes = append(nodes, node{n, -1, -1, s})
		}
	}
	slices.SortStableFunc(nodes, func(a, b node) int { return a.count - b.count })
	// Leaves wait in one queue and joined nodes, which come in rising order,
	// in another.
	leaves := len(nodes)
	leaf, joined := 0, leaves
	least := func() int {
		if leaf < leaves && (joined == len(nodes) || nodes[leaf].count <= nodes[joined].count) {
			leaf++
			return leaf - 1
		}
		joined++
		return joined - 1
	}
	for range leaves - 1 {
		a := least()
		b := least()
		nodes = append(nodes, node{nodes[a].count + nodes[b].count, a, b, -1})
	}
	depth := make([]uint8, len(nodes))
	lengths := make([]uint8, len(counts))
	for i := len(nodes) - 1; i >= 0; i-- {
		if n := nodes[i]; n.left >= 0 {
			depth[n.left], depth[n.right] = depth[i]+1, depth[i]+1
		} else {
			lengths[n.symbol] = depth[i]
		}
	}
	return lengths
}

// code is a Huffman code with its bits reversed, as deflate sends them.
type code struct {
	v uint32
	n uint8
}

// canonical gives the codes that follow from their lengths.
func canonical(lengths []uint8) []code {
	codes := make([]code, len(lengths))
	v := uint32(0)
	for n := uint8(1); n <= maxCodeBits; n++ {
		v <<= 1
		for s, l := range lengths {
			if l == n {
				codes[s] = code{bits.Reverse32(v) >> (32 - n), n}
				v++
			}
		}
	}
	return codes
}

// lengthOrder is how deflate sends the lengths of the code for lengths.
var lengthOrder = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// lengthRun is one symbol of that code with its extra bits.
type lengthRun struct {
	symbol, extra int
	n             uint
}

// lengthRuns shortens a list of code lengths with the run symbols 16 to 18.
func lengthRuns(lengths []uint8) []lengthRun {
	var runs []lengthRun
	for i := 0; i < len(lengths); {
		v, n := lengths[i], 1
		for i+n < len(lengths) && lengths[i+n] == v {
			n++
		}
		i += n
		if v != 0 {
			runs = append(runs, lengthRun{symbol: int(v)})
			n--
		}
		for n > 0 {
			switch {
			case v == 0 && n >= 11:
				k := min(n, 138)
				runs = append(runs, lengthRun{18, k - 11, 7})
				n -= k
			case v == 0 && n >= 3:
				runs = append(runs, lengthRun{17, n - 3, 3})
				n = 0
			case v != 0 && n >= 3:
				k := min(n, 6)
				runs = append(runs, lengthRun{16, k - 3, 2})
				n -= k
			default:
				runs = append(runs, lengthRun{symbol: int(v)})
				n--
			}
		}
	}
	return runs
}
