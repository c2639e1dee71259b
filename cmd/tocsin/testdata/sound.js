// What a browser can say about a page that people with other eyes, hands and ears use. Gives {Texts, Faults}.
(() => {
  const faults = new Set();
  const say = (el, text) => faults.add(text + ': ' + (el.outerHTML || String(el)).slice(0, 120));
  const all = s => [...document.querySelectorAll(s)];
  const shown = el => { const r = el.getBoundingClientRect(); return r.width > 1 && r.height > 1 && getComputedStyle(el).visibility === 'visible'; };

  if (!document.documentElement.lang) faults.add('the page has no language');
  for (const s of ['header', 'nav', 'main', 'footer']) if (all(s).length !== 1) faults.add('not one ' + s);
  if (all('h1').length !== 1) faults.add('not one h1');
  let level = 0;
  for (const h of all('h1,h2,h3,h4').filter(shown)) {
    const n = Number(h.tagName[1]);
    if (n > level + 1 && level > 0) say(h, 'a level of headings is left out');
    level = n;
  }
  const ids = new Set();
  for (const el of all('[id]')) { if (ids.has(el.id)) say(el, 'an id stands twice'); ids.add(el.id); }
  for (const el of all('[aria-labelledby]')) for (const id of el.getAttribute('aria-labelledby').split(' ')) if (!document.getElementById(id)) say(el, 'named by nothing');
  for (const el of all('input:not([type=hidden]),select,textarea')) if (!el.labels.length && !el.getAttribute('aria-label')) say(el, 'a field has no label');
  for (const el of all('img:not([alt])')) say(el, 'a picture has no text');
  for (const el of all('th')) if (!el.scope) say(el, 'a heading of a table has no scope');
  for (const el of all('[tabindex]')) if (el.tabIndex > 0) say(el, 'an order of its own');
  for (const el of all('ul,ol')) for (const c of el.children) if (!['LI', 'SCRIPT', 'TEMPLATE'].includes(c.tagName)) say(c, 'not an item of its list');
  for (const el of all('[aria-live]')) if (el.getAttribute('aria-live') !== 'polite') say(el, 'it interrupts');
  if (document.documentElement.scrollWidth > innerWidth) faults.add('the page is ' + document.documentElement.scrollWidth + ' px wide in a window of ' + innerWidth);
  for (const el of all('a,button').filter(shown)) {
    const r = el.getBoundingClientRect();
    if (el.tagName === 'BUTTON' && r.height < 24) say(el, 'a button of ' + r.height + ' px');
  }

  const rgb = c => { const m = c.match(/[\d.]+/g).map(Number); return { r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1 }; };
  const lum = c => { const f = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; return .2126 * f(c.r) + .7152 * f(c.g) + .0722 * f(c.b); };
  const back = el => {
    for (; el; el = el.parentElement) {
      const s = getComputedStyle(el), c = rgb(s.backgroundColor);
      if (c.a === 1) return c;
      const g = s.backgroundImage.match(/rgb\([^)]*\)/);
      if (g) return rgb(g[0]);
    }
    return { r: 255, g: 255, b: 255 };
  };
  let texts = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const el = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !shown(el) || el.closest('.skip,.say,title')) continue;
    texts++;
    const s = getComputedStyle(el), a = lum(rgb(s.color)), b = lum(back(el));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const px = parseFloat(s.fontSize), large = px >= 24 || px >= 18.66 && Number(s.fontWeight) >= 700;
    if (ratio < (large ? 3 : 4.5)) say(el, 'a contrast of ' + ratio.toFixed(2));
    if (px < 12) say(el, 'letters of ' + px + ' px');
  }
  return { Texts: texts, Faults: [...faults] };
})()
