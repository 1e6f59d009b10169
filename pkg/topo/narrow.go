package topo

import "fmt"

// narrow draws the host above and the namespaces below it. The cables leave each bay downwards,
// side by side; the rightmost reaches its box first, so that none crosses another.
func (p *plan) narrow() []row {
	var rows []row
	title := text("host "+p.view.Host.Name, name)
	facts := hostLines(&p.view.Host, p.width-4)
	if len(p.bays) == 0 {
		rows = append(rows, p.hostBox(title, facts, nil)...)
	}
	for i := range p.bays {
		// A second bay's cables cannot pass the first one's boxes: the host goes on below.
		rows = append(rows, p.hostBox(title, facts, &p.bays[i])...)
		rows = append(rows, p.below(&p.bays[i])...)
		title, facts = line(text("host "+p.view.Host.Name, name), text(", continued", plain)), nil
	}
	for i := range p.alone {
		box, _ := p.alone[i].box(p.width - 4)
		for _, r := range box {
			rows = append(rows, line(text("    ", plain), r))
		}
	}
	return rows
}

func (y *bay) cables() []*Attachment {
	var all []*Attachment
	for i := range y.groups {
		all = append(all, y.groups[i].ends...)
	}
	return all
}

// ways is how many cables leave a bay downwards; a list has one trunk for all.
func (y *bay) ways() int {
	n := len(y.cables())
	if y.listed {
		return 1
	}
	return n
}

// column is where cable c of n goes down.
func column(c, n int) int { return 4 + 2*(n-1-c) }

func (p *plan) hostBox(title row, facts []row, y *bay) []row {
	rows := []row{top(title, nil, p.width)}
	for _, f := range facts {
		rows = append(rows, side(f, p.width))
	}
	end := bottom(p.width)
	if y != nil {
		for _, r := range p.bayBox(y) {
			rows = append(rows, side(r, p.width))
		}
		p.pass(end, y, 0)
	}
	return append(rows, end)
}

// pass lets the cables from c on go down through a line that begins at the left of the picture.
func (p *plan) pass(r row, y *bay, c int) {
	for n := y.ways(); c < n; c++ {
		at := &r[column(c, n)]
		if at.r == '─' {
			at.r = '┼'
			continue
		}
		*at = cell{'│', cable}
	}
}

// bayBox is a bay with its sockets, to be put into the host's box.
func (p *plan) bayBox(y *bay) []row {
	width := p.width - 4
	var inside []row
	if y.bridge != nil {
		inside = append(bayLines(y.bridge, width-4), y.policyLines(width-4)...)
		for i := range y.bridge.Ports {
			inside = append(inside, p.narrowPort(y.bridge, &y.bridge.Ports[i]))
		}
	}
	inside = append(inside, y.narrowSockets()...)
	if y.bridge == nil {
		for i := range inside {
			inside[i] = line(text("  ", plain), inside[i])
		}
		return inside
	}
	rows := []row{bayTop(y.bridge, width)}
	for _, r := range inside {
		rows = append(rows, side(r, width))
	}
	end := bottom(width)
	for c, n := 0, y.ways(); c < n; c++ {
		end[column(c, n)-2].r = '┼'
	}
	return append(rows, end)
}

func (p *plan) narrowPort(b *Bridge, port *Port) row {
	out := text(" ═► ", uplink)
	if !port.Uplink {
		out = text(" ── ", cable)
	}
	return line(row{socket(port.Up && port.Carrier)}, text(" "+port.Name, plain), out, text(p.portText(b, port), plain))
}

// narrowSockets are the sockets of a bay, the first box's last.
func (y *bay) narrowSockets() []row {
	cables := y.cables()
	if y.listed {
		return []row{line(row{socket(true)}, text(fmt.Sprintf(" %d patch cables", len(cables)), plain))}
	}
	var rows, before []row
	for i := len(cables) - 1; i >= 0; i-- {
		label, end := hostSocket(cables[i])
		rows = append(rows, line(line(before...), row{end}, text(" ", plain), label))
		before = append(before, text("│ ", cable))
	}
	return rows
}

// below are the boxes that the cables of a bay lead to.
func (p *plan) below(y *bay) []row {
	if y.ways() == 0 {
		return nil
	}
	if y.listed {
		return p.narrowList(y)
	}
	n := y.ways()
	at := 4 + 2*n
	var rows []row
	next := 0
	for i := range y.groups {
		box, sockets := y.groups[i].box(p.width - at)
		for j, r := range box {
			lead := fill(" ", at, plain)
			p.pass(lead, y, next)
			if a := sockets[j]; a != nil {
				col := column(next, n)
				copy(lead[col:], line(text("└", cable), wire(a, at-col-1)))
				next++
			}
			rows = append(rows, line(lead, r))
		}
	}
	return rows
}

func (p *plan) narrowList(y *bay) []row {
	var rows []row
	width := y.nameWidth()
	for i := range y.groups {
		for _, a := range y.groups[i].ends {
			what := y.groups[i].listed(a, width)
			rows = append(rows, line(text("    ├", cable), wire(a, 1), text("● ", cable), what.fit(min(len(what), p.width-8))))
		}
	}
	rows[len(rows)-1][4].r = '└'
	return rows
}
