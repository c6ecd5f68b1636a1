package main

import "strings"

// A tongue makes names. Which one is spoken where changes slowly over the plane.
type tongue struct {
	heads              []string
	port, river, hill  []string // endings of settlements by where they lie
	plain              []string
	sea, range_, realm []string // with * for a head
}

var tongues = [...]tongue{
	{
		heads: []string{"Alder", "Amber", "Ash", "Barrow", "Black", "Bram", "Bright", "Cold", "Corn", "Crow", "Dun", "East", "Elm", "Fair", "Fen", "Fox", "Gold", "Green", "Hart", "Haw", "Hazel", "Heron", "Holly", "King", "Lark", "Lin", "Long", "Maple", "Marsh", "Mist", "Moss", "North", "Oak", "Otter", "Raven", "Red", "Rush", "Silver", "Stan", "Stone", "Summer", "Swan", "Thorn", "Under", "West", "White", "Wil", "Winter", "Wolf", "Wren"},
		port:  []string{"haven", "port", "mouth", "wick", "sand", "quay"}, river: []string{"ford", "brook", "bridge", "water", "mere", "ey"},
		hill: []string{"fell", "cliff", "crag", "tor", "stead", "down"}, plain: []string{"ton", "ham", "field", "ley", "bury", "worth", "thorpe", "stow"},
		sea:    []string{"Sea of *", "* Deep", "The * Sound", "* Sea", "Gulf of *", "The * Reach"},
		range_: []string{"* Fells", "The * Heights", "* Range", "* Edge", "* Hills"},
		realm:  []string{"*land", "*shire", "*mark", "The * March", "Kingdom of *"},
	},
	{
		heads: []string{"Alf", "Arn", "Bjor", "Dal", "Eid", "Eik", "Elv", "Falk", "Fjell", "Frey", "Gaut", "Gran", "Grim", "Hald", "Hav", "Hel", "Hjel", "Hol", "Hrafn", "Is", "Jar", "Kald", "Kar", "Kross", "Lang", "Lyng", "Myr", "Nord", "Odd", "Ran", "Rost", "Sig", "Skar", "Skog", "Snar", "Sol", "Stein", "Storm", "Svart", "Thor", "Tind", "Tor", "Ulf", "Var", "Vest", "Vind", "Yr"},
		port:  []string{"vik", "havn", "nes", "sund", "oy"}, river: []string{"fors", "elv", "osen", "vad", "foss"},
		hill: []string{"fjell", "berg", "haug", "nut"}, plain: []string{"heim", "stad", "gard", "by", "rud", "set", "vang"},
		sea:    []string{"*hav", "*fjord", "*sundet", "*dypet"},
		range_: []string{"*fjellene", "*tindene", "*ryggen"},
		realm:  []string{"*mark", "*land", "*rike", "*heimen"},
	},
	{
		heads: []string{"Al", "Aqua", "Ar", "Bel", "Bon", "Cal", "Cam", "Car", "Castel", "Ceri", "Cor", "Fior", "Flora", "Gal", "Lun", "Mar", "Mira", "Mont", "Nov", "Oli", "Pal", "Per", "Pin", "Rav", "Ros", "Sal", "San", "Ser", "Sil", "Sol", "Tor", "Val", "Ver", "Vig", "Vin", "Vol"},
		port:  []string{"amare", "porto", "una", "ossa", "ezia"}, river: []string{"aqua", "erno", "onte", "ivera", "ello"},
		hill: []string{"alto", "orte", "ecchia", "occa"}, plain: []string{"ano", "ella", "etto", "ina", "anza", "ara", "ento", "ovia", "ora"},
		sea:    []string{"Mare *o", "Golfo di *ia", "Mar di *a", "Bocca di *o"},
		range_: []string{"Monti *ini", "Serra di *a", "Alpi *ane"},
		realm:  []string{"*ia", "*enza", "*aria", "Terra di *o"},
	},
	{
		heads: []string{"Akh", "Azra", "Bahr", "Dar", "Esh", "Faru", "Ghaz", "Hadr", "Ilar", "Jabr", "Kas", "Khar", "Lah", "Marz", "Mazr", "Nah", "Nish", "Oram", "Qal", "Qas", "Rash", "Sam", "Sar", "Shah", "Shir", "Tab", "Tash", "Uru", "Yaz", "Zam", "Zar"},
		port:  []string{"abad", "asha", "ira"}, river: []string{"rud", "ana", "aba", "dara"},
		hill: []string{"kuh", "kand", "ak"}, plain: []string{"ar", "an", "esh", "una", "ash", "in", "iz", "ur"},
		sea:    []string{"Bahr al-*a", "Sea of *an", "Gulf of *ur"},
		range_: []string{"Kuh-e *an", "Jabal *", "Mountains of *ar"},
		realm:  []string{"*istan", "*iya", "Emirate of *", "*an"},
	},
	{
		heads: []string{"Aoi", "Aki", "Ama", "Fuji", "Hana", "Haru", "Hayo", "Hoshi", "Ina", "Iwa", "Kama", "Kawa", "Kita", "Kuro", "Matsu", "Mina", "Miya", "Mori", "Naga", "Nara", "Nishi", "Oka", "Saku", "Sora", "Suzu", "Taka", "Tani", "Tsuki", "Ume", "Yama", "Yuki", "Yama"},
		port:  []string{"hama", "ura", "tsu", "saki"}, river: []string{"gawa", "hashi", "se", "zawa"},
		hill: []string{"yama", "mine", "oka", "toge"}, plain: []string{"da", "moto", "no", "machi", "mura", "hara", "ta"},
		sea:    []string{"* Sea", "*nada", "*kai", "Bay of *"},
		range_: []string{"*sanmyaku", "* Alps", "*dake"},
		realm:  []string{"*kuni", "*shima", "*do"},
	},
}

// tongueAt returns what is spoken at a place.
func (w *world) tongueAt(x, y int64) *tongue {
	// The nearest of one centre in every 2048 by 2048 pixels.
	const bits = 11
	i, j := x>>bits, y>>bits
	var best uint64
	nearest := float32(1e30)
	for dj := int64(-1); dj <= 1; dj++ {
		for di := int64(-1); di <= 1; di++ {
			h := hash(w.seed+0x70c, i+di, j+dj)
			dx := float32(di<<bits-x&(1<<bits-1)) + unit(h, 0)*(1<<bits)
			dy := float32(dj<<bits-y&(1<<bits-1)) + unit(h, 16)*(1<<bits)
			if d := dx*dx + dy*dy; d < nearest {
				nearest, best = d, h
			}
		}
	}
	return &tongues[pick(best, 32, len(tongues))]
}

func (w *world) siteName(s *site) string {
	t := w.tongueAt(s.x, s.y)
	h := hash(s.seed, 3, 5)
	ends := t.plain
	switch {
	case s.port && h>>60&3 != 0:
		ends = t.port
	case s.hill && h>>60&3 != 0:
		ends = t.hill
	case s.river && h>>60&3 != 0:
		ends = t.river
	}
	return join(t.heads[pick(h, 0, len(t.heads))], ends[pick(h, 16, len(ends))])
}

// regionName names a part of the world: which is one of a tongue's patterns.
func regionName(t *tongue, which []string, h uint64) string {
	pattern := which[pick(h, 0, len(which))]
	head := t.heads[pick(h, 16, len(t.heads))]
	before, after, _ := strings.Cut(pattern, "*")
	if before == "" {
		return join(head, after)
	}
	return before + join(head, after)
}

// join puts an ending to a head so that it can be spoken: no letter three times, and
// no two vowels of which one may go.
func join(head, end string) string {
	if end == "" || end[0] == ' ' {
		return head + end
	}
	last := head[len(head)-1]
	if last == end[0] || strings.IndexByte("aeiou", last) >= 0 && strings.IndexByte("aeiou", end[0]) >= 0 {
		head = head[:len(head)-1]
	}
	return head + end
}
