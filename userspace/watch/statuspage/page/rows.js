// Lists and tables that are drawn again each second. Rows are kept and only changes are written, so that the reader's
// selection, focus and scroll position stay.

// Rows keeps the children of one element in sync with a list of items.
class Rows {
  constructor(parent, make, update) {
    this.parent = parent;
    this.make = make; // item -> element
    this.update = update; // (element, item)
    this.known = new Map();
  }

  // draw shows the items, each under its key.
  draw(items, key) {
    const seen = new Set();
    let place = this.parent.firstElementChild;
    for (const item of items) {
      const k = key(item);
      if (seen.has(k)) continue;
      seen.add(k);
      let row = this.known.get(k);
      if (!row) {
        row = this.make(item);
        this.known.set(k, row);
      }
      this.update(row, item);
      if (row === place) place = place.nextElementSibling;
      else this.parent.insertBefore(row, place);
    }
    for (const [k, row] of this.known) {
      if (!seen.has(k)) {
        row.remove();
        this.known.delete(k);
      }
    }
  }
}

// putAddress sets an address, which may be wrapped before its port.
function putAddress(e, text) {
  if (e.textContent === text) return;
  const port = text.lastIndexOf(':');
  e.replaceChildren(text.slice(0, port), element('wbr'), text.slice(port));
}

// Table is a table whose columns are {name, text(item), order?(item), kind?, mark?(item)}. Columns with an order are
// sortable. On narrow screens each row becomes a block whose cells name their column. The roles keep it a table for
// screen readers.
class Table {
  constructor(parent, label, columns, sortBy) {
    this.columns = columns;
    this.by = sortBy ?? null; // a column, or null for the given order
    this.down = true;
    const head = element('tr', {role: 'row'});
    for (const c of columns) {
      const cell = element('th', {scope: 'col', role: 'columnheader', class: c.kind || ''});
      if (c.order) {
        const button = element('button', {type: 'button'}, c.name);
        button.addEventListener('click', () => this.sort(c));
        cell.append(button);
      } else {
        cell.append(c.name);
      }
      c.head = cell;
      head.append(cell);
    }
    const body = element('tbody', {role: 'rowgroup'});
    parent.append(element('table', {role: 'table', 'aria-label': label}, element('thead', {role: 'rowgroup'}, head), body));
    this.rows = new Rows(body, () => this.makeRow(), (row, item) => this.fill(row, item));
    this.marks();
  }

  makeRow() {
    const row = element('tr', {role: 'row'});
    this.columns.forEach((c, i) => {
      row.append(element(i ? 'td' : 'th', {
        role: i ? 'cell' : 'rowheader', class: c.kind || '', 'data-name': c.name, ...(i ? {} : {scope: 'row'}),
      }));
    });
    return row;
  }

  fill(row, item) {
    this.columns.forEach((c, i) => {
      const cell = row.cells[i];
      (c.kind === 'address' ? putAddress : put)(cell, c.text(item));
      const mark = c.mark ? c.mark(item) : '';
      if (cell.dataset.mark !== mark) cell.dataset.mark = mark;
    });
  }

  sort(column) {
    this.down = this.by === column ? !this.down : column.kind === 'number';
    this.by = column;
    this.marks();
    if (this.last) this.draw(...this.last);
  }

  marks() {
    for (const c of this.columns) {
      if (c.order) c.head.setAttribute('aria-sort', c !== this.by ? 'none' : this.down ? 'descending' : 'ascending');
    }
  }

  // trouble reports whether any cell of the item is marked.
  trouble(item) {
    return this.columns.some((c) => c.mark && /warn|bad/.test(c.mark(item)));
  }

  // draw shows at most this many items: in sorted order, or those with problems first.
  draw(items, key, most = Infinity) {
    this.last = [items, key, most];
    if (this.by) {
      const order = this.by.order, sign = this.down ? -1 : 1;
      items = items.map((item, i) => [order(item), i, item]).sort((a, b) => (a[0] < b[0] ? -sign : a[0] > b[0] ? sign : a[1] - b[1])).map((x) => x[2]);
    }
    else items = [...items].sort((a, b) => this.trouble(b) - this.trouble(a));
    this.rows.draw(most < items.length ? items.slice(0, most) : items, key);
  }
}

// Bars is a list of quantities with a bar each: {name, text, part, most?, mark?}. part and most are shares from 0 to 1.
class Bars {
  constructor(parent) {
    this.rows = new Rows(parent, (item) => {
      const bar = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
      bar.setAttribute('aria-hidden', 'true');
      for (const name of ['track', 'part', 'most']) {
        const rect = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
        rect.setAttribute('class', name);
        rect.setAttribute('height', '100%');
        bar.append(rect);
      }
      bar.children[0].setAttribute('width', '100%');
      return element('div', {class: 'quantity'}, element('span', {class: 'name'}, item.name), element('span', {class: 'value'}), bar);
    }, (row, item) => {
      const [, value, bar] = row.children;
      put(value, item.text);
      row.dataset.mark = item.mark || '';
      const percent = (share) => Math.min(100, Math.max(0, share * 100)).toFixed(2) + '%';
      bar.children[1].setAttribute('width', percent(item.part));
      bar.children[2].setAttribute('width', item.most === undefined ? '0' : '2');
      bar.children[2].setAttribute('x', percent(Math.min(item.most ?? 0, 0.995)));
    });
  }

  draw(items) {
    this.rows.draw(items, (item) => item.name);
  }
}

// Pairs is a list of names with a value each: [name, text, mark?, class?].
class Pairs {
  constructor(parent) {
    this.rows = new Rows(parent, ([name]) => element('div', {}, element('dt', {}, name), element('dd')), (row, [, text, mark, kind]) => {
      put(row.children[1], text);
      row.dataset.mark = mark || '';
      row.className = kind || '';
    });
  }

  draw(pairs) {
    this.rows.draw(pairs, ([name]) => name);
  }
}
