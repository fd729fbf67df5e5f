// Learning curves of runs: drawn by uPlot from /runs/NAME/curves, kept up by one stream of events
// while a run goes on. Names of metrics and stages are texts of others: textContent only.
"use strict";
(() => {
  const MOST = 6000; // points of a line, after which the server's shorter ones are asked for again
  const SPARE = 1500; // milliseconds from news of a step to the next look at the state
  const HELD_OUT = ", held out";
  const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, notation: "standard" });
  const told = (value) =>
    value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e7) ? value.toExponential(2) : short.format(value);
  const make = (name, cls, text) => {
    const made = document.createElement(name);
    if (cls) made.className = cls;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const COLOURS = ["--win", "--loss", "--good", "--open", "--bad", "--soft"];

  // One chart: a title, a drawing (or one number, where nothing ever changed), a legend, words.
  class Chart {
    constructor(place, metric, title) {
      this.metric = metric;
      this.title = title;
      this.lines = new Map();
      this.figure = make("figure");
      this.figure.dataset.metric = metric;
      this.picture = make("div");
      this.picture.setAttribute("role", "img");
      this.legend = make("div", "legend");
      this.figure.append(make("figcaption", "", title), this.picture, this.legend);
      place.append(this.figure);
      this.size = new ResizeObserver(() => this.fit());
      this.size.observe(this.figure);
    }
    set(lines) {
      this.lines = new Map(lines.map(({ label, x, y }) => [label, { x, y }]));
    }
    add(label, x, y) {
      if (!this.lines.has(label)) this.lines.set(label, { x: [], y: [] });
      const line = this.lines.get(label);
      const last = line.x.length ? line.x[line.x.length - 1] : -1;
      if (x < last) return true; // steps went back: it has to be drawn anew
      line.x.push(x);
      line.y.push(y);
      return line.x.length > MOST;
    }
    remove() {
      this.size.disconnect();
      if (this.plot) this.plot.destroy();
      this.figure.remove();
    }
    width() {
      return Math.max(200, this.figure.clientWidth - 24);
    }
    fit() {
      if (this.plot && this.plot.width !== this.width()) this.plot.setSize({ width: this.width(), height: 210 });
    }
    draw() {
      const lines = [...this.lines.entries()];
      const values = lines.flatMap(([, line]) => line.y);
      const flat = values.length > 1 && values.every((value) => value === values[0]);
      this.say(lines);
      const kind = flat ? "flat" : lines.map(([label]) => label).join("\n");
      if (kind !== this.kind) this.begin(kind, flat, lines);
      if (flat) this.picture.textContent = told(values[0]) + ", at every step";
      else this.plot.setData(uPlot.join(lines.map(([, line]) => unique(line))));
    }
    begin(kind, flat, lines) {
      this.kind = kind;
      if (this.plot) this.plot.destroy();
      this.plot = null;
      this.picture.replaceChildren();
      this.picture.className = flat ? "flat" : "";
      const bases = [...new Set(lines.map(([label]) => label.replace(HELD_OUT, "")))];
      const paint = (label) => colour(COLOURS[bases.indexOf(label.replace(HELD_OUT, "")) % COLOURS.length]);
      this.legend.replaceChildren();
      if (lines.length > 1) for (const [label] of lines) {
        const one = make("span");
        const swatch = make("i");
        swatch.style.background = paint(label);
        one.append(swatch, label);
        this.legend.append(one);
      }
      if (flat) return;
      const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
      const words = (plot, ticks) => ticks.map((tick) => (tick === null ? "" : told(tick)));
      this.plot = new uPlot({
        width: this.width(), height: 210, legend: { show: false }, cursor: { drag: { x: true, y: false } },
        scales: { x: { time: false } },
        axes: [{ ...axis, values: words, label: "step", space: 76, labelSize: 18, labelFont: "12px system-ui", font: "12px system-ui" },
               { ...axis, values: words, size: 62, font: "12px system-ui" }],
        series: [{}, ...lines.map(([label, line]) => ({
          label, stroke: paint(label), width: 1.6, spanGaps: true,
          dash: label.endsWith(HELD_OUT) ? [6, 4] : undefined,
          points: line.x.length < 2 ? { show: true, size: 7 } : {},
        }))],
      }, [[], ...lines.map(() => [])], this.picture);
    }
    say(lines) {
      const words = lines.map(([label, { x, y }]) => {
        let low = Infinity, high = -Infinity;
        for (const value of y) { if (value < low) low = value; if (value > high) high = value; }
        return `${label}: ${told(y[0])} at step ${told(x[0])}, ${told(y[y.length - 1])} at step ${told(x[x.length - 1])}, between ${told(low)} and ${told(high)}`;
      });
      this.picture.setAttribute("aria-label", `${this.title}. ${words.join("; ")}`);
    }
  }

  // uPlot joins by step: of two values at one step the later one is drawn a hair further on.
  const unique = ({ x, y }) => {
    const steps = x.slice();
    for (let at = 1; at < steps.length; at += 1) if (steps[at] <= steps[at - 1]) steps[at] = steps[at - 1] + 1e-6 * Math.max(1, steps[at - 1]);
    return [steps, y];
  };

  class Curves {
    constructor(place) {
      this.place = place;
      this.said = document.getElementById("curves-said");
      this.charts = new Map();
      this.dirty = new Set();
      this.waiting = null;
    }
    async load() {
      let found = { whole: false };
      while (!found.whole) {
        const answer = await fetch(this.place.dataset.curves);
        if (!answer.ok) throw new Error(String(answer.status));
        found = await answer.json();
        this.show(found.charts);
        this.word(found.whole ? "" : "A long log: curves become finer as it is read.");
      }
      if (!this.charts.size) this.word("Nothing has been logged yet.");
      return found.place;
    }
    word(text) {
      this.said.textContent = text;
      this.said.hidden = !text;
    }
    show(charts) {
      const known = new Set(charts.map((chart) => chart.metric));
      for (const [metric, chart] of this.charts) if (!known.has(metric)) { chart.remove(); this.charts.delete(metric); }
      for (const { metric, title, lines } of charts) {
        const chart = this.chart(metric, title);
        chart.set(lines);
        this.place.append(chart.figure); // in the server's order
        chart.draw();
      }
    }
    chart(metric, title) {
      if (!this.charts.has(metric)) this.charts.set(metric, new Chart(this.place, metric, title));
      return this.charts.get(metric);
    }
    add(points) {
      let anew = false;
      for (const [metric, label, step, value] of points) {
        if (!this.charts.has(metric)) { anew = true; continue; }
        const chart = this.charts.get(metric);
        anew = chart.add(label, step, value) || anew;
        this.dirty.add(chart);
      }
      requestAnimationFrame(() => { for (const chart of this.dirty) chart.draw(); this.dirty.clear(); });
      return anew;
    }
    follow(place) {
      const stream = new EventSource(`${this.place.dataset.events}?place=${encodeURIComponent(place)}`);
      const again = () => { if (!this.loading) this.loading = this.load().finally(() => { this.loading = null; }); };
      stream.addEventListener("points", (event) => {
        this.word("");
        if (this.add(JSON.parse(event.data))) again();
        this.state(false);
      });
      stream.addEventListener("again", again);
      stream.addEventListener("state", () => this.state(true));
      stream.addEventListener("end", () => { stream.close(); this.state(true); });
      addEventListener("pagehide", () => stream.close());
    }
    state(now) {
      if (this.waiting && !now) return;
      clearTimeout(this.waiting);
      const tell = () => {
        this.waiting = null;
        document.body.dispatchEvent(new CustomEvent("run-state"));
      };
      this.waiting = setTimeout(tell, now ? 0 : SPARE);
    }
    redraw() {
      for (const chart of this.charts.values()) { chart.kind = null; chart.draw(); }
    }
  }

  for (const place of document.querySelectorAll("[data-curves]")) {
    const curves = new Curves(place);
    curves.load()
      .then((at) => { if (place.dataset.events) curves.follow(at); })
      .catch(() => curves.word("The curves could not be read. Is `tesuji ui` still running?"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => curves.redraw());
  }
})();
