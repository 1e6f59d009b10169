package topo

import "slices"

// wideLayout is a wide picture in progress: the host at the left, the namespaces at the right.
type wideLayout struct {
	*plan
	hostWidth   int
	left, right []row
}

// lineWidth is the width of the lines between host and boxes.
const lineWidth = 8

func (p *plan) wide() []row {
	s := &wideLayout{plan: p, hostWidth: p.width / 2}
	if p.onlyLists() {
		s.hostWidth = p.width * 2 / 5
	}
	h := &p.view.Host
	s.left = append(s.left, top(text("host "+h.Name, name), nil, s.hostWidth))
	for _, l := range hostLines(h, s.hostWidth-4) {
		s.left = append(s.left, side(l, s.hostWidth))
	}
	for i := range p.sections {
		s.section(&p.sections[i])
	}
	s.left = append(s.left, bottom(s.hostWidth))
	for i := range p.alone {
		s.alone(&p.alone[i])
	}
	return s.join()
}

// onlyLists reports whether all sections are lists, which may then use more width.
func (p *plan) onlyLists() bool {
	lists := 0
	for i := range p.sections {
		if !p.sections[i].listed && len(p.sections[i].groups) > 0 {
			return false
		}
		if p.sections[i].listed {
			lists++
		}
	}
	return lists > 0 && len(p.alone) == 0
}

// join puts the two halves side by side.
func (s *wideLayout) join() []row {
	var rows []row
	for i := range max(len(s.left), len(s.right)) {
		var l, r row
		if i < len(s.left) {
			l = s.left[i]
		}
		if i < len(s.right) {
			r = s.right[i]
		}
		rows = append(rows, line(l.fit(s.hostWidth), r))
	}
	return rows
}

func (s *wideLayout) boxWidth() int { return s.width - s.hostWidth - lineWidth }

// inBridge returns a line of the host's box with a line of a bridge's box in it; without a bridge, without that box.
func (s *wideLayout) inBridge(y *section, content row) row {
	if y.bridge == nil {
		return side(content, s.hostWidth)
	}
	return side(side(content, s.hostWidth-4), s.hostWidth)
}

// socketRow returns such a line with a socket at its right end, and a line that leaves the host.
func (s *wideLayout) socketRow(y *section, label row, end cell, out row) row {
	width := s.hostWidth - 6
	if y.bridge != nil {
		width -= 2
	}
	r := s.inBridge(y, line(fill(" ", width-len(label), plain), label.fit(min(len(label), width))))
	at := s.hostWidth - 3
	r[at], r[at+1], r[at+2] = end, out[0], out[1]
	return r
}

// leave returns the crossing of a line and the border of the host's box.
func leave(sign, crossing rune, t tone) row { return row{{sign, t}, {crossing, frame}} }

func (s *wideLayout) section(y *section) {
	if y.bridge != nil {
		s.left = append(s.left, side(bridgeTop(y.bridge, s.hostWidth-4), s.hostWidth))
		for _, l := range slices.Concat(bridgeLines(y.bridge, s.hostWidth-8), y.policyLines(s.hostWidth-8)) {
			s.left = append(s.left, s.inBridge(y, l))
		}
		for i := range y.bridge.Ports {
			s.port(y, &y.bridge.Ports[i])
		}
	}
	nameWidth := y.nameWidth(s.width)
	for i := range y.groups {
		g := &y.groups[i]
		if !y.listed {
			s.group(y, g)
			continue
		}
		s.heading(y, y.heading(i))
		for _, a := range g.ends {
			s.listed(y, a, g.listed(a, nameWidth))
		}
	}
	if y.bridge != nil {
		s.left = append(s.left, side(bottom(s.hostWidth-4), s.hostWidth))
	}
}

// down extends the left half to n lines.
func (s *wideLayout) down(y *section, n int) {
	for len(s.left) < n {
		s.left = append(s.left, s.inBridge(y, nil))
	}
}

// beside extends the right half to the length of the left.
func (s *wideLayout) beside() {
	for len(s.right) < len(s.left) {
		s.right = append(s.right, nil)
	}
}

func (s *wideLayout) port(y *section, p *Port) {
	s.down(y, len(s.right))
	s.beside()
	end, border, out := socket(p.Up && p.Carrier), leave('═', '╪', uplink), text("═══► ", uplink)
	if !p.Uplink {
		border, out = leave('─', '┼', veth), text("──── ", veth)
	}
	far := text(s.view.FarEnd(y.bridge, p), plain)
	s.left = append(s.left, s.socketRow(y, text(p.Name, plain), end, border))
	s.right = append(s.right, line(out, far).fit(min(len(out)+len(far), s.width-s.hostWidth)))
}

// group draws a namespace's box with each of its sockets level with one of the bridge.
func (s *wideLayout) group(y *section, g *group) {
	rows, sockets := g.box(s.boxWidth())
	first := 0
	for sockets[first] == nil {
		first++
	}
	s.down(y, len(s.right)+first)
	for len(s.right)+first < len(s.left) {
		s.right = append(s.right, nil)
	}
	for i, r := range rows {
		a := sockets[i]
		if a == nil {
			s.right = append(s.right, line(fill(" ", lineWidth, plain), r))
			continue
		}
		s.down(y, len(s.right))
		label, end := hostSocket(a)
		s.left = append(s.left, s.socketRow(y, label, end, border(a)))
		s.right = append(s.right, line(wire(a, lineWidth), r))
	}
}

// border returns where an attachment's line leaves the host.
func border(a *Attachment) row {
	if a.HostLink == nil {
		return leave('╌', '┼', wrong)
	}
	return leave(wire(a, lineWidth)[0].r, '┼', veth)
}

func (s *wideLayout) listed(y *section, a *Attachment, what row) {
	s.down(y, len(s.right))
	s.beside()
	label, end := hostSocket(a)
	s.left = append(s.left, s.socketRow(y, label, end, border(a)))
	width := s.width - s.hostWidth - 3
	s.right = append(s.right, line(wire(a, 1), text("● ", veth), what.fit(min(len(what), width))))
}

// heading adds the line above the attachments of one namespace of pods, if that is not nil.
func (s *wideLayout) heading(y *section, title row) {
	if title == nil {
		return
	}
	s.down(y, len(s.right))
	s.beside()
	s.left = append(s.left, s.inBridge(y, nil))
	title = line(text("   ", plain), title)
	s.right = append(s.right, title.fit(min(len(title), s.width-s.hostWidth)))
}

func (s *wideLayout) alone(g *group) {
	rows, _ := g.box(s.boxWidth())
	for _, r := range rows {
		s.right = append(s.right, line(fill(" ", lineWidth, plain), r))
	}
}
