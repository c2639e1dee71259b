// The page works without this: it keeps times true, and a page of alerts goes on by itself.
'use strict';
(() => {
  document.documentElement.classList.add('js');
  const $ = id => document.getElementById(id);

  const span = s => {
    s = Math.max(0, Math.floor(s));
    if (s < 60) return s + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' min';
    if (s < 172800) return Math.floor(s / 3600) + ' h';
    return Math.floor(s / 86400) + ' d';
  };
  const tick = root => {
    for (const t of root.querySelectorAll('time[data-t]')) {
      const d = (Date.now() - Date.parse(t.dateTime)) / 1000;
      const text = t.dataset.t === 'ago' ? span(d) + ' ago' : d >= 0 ? 'now' : 'in ' + span(-d);
      if (t.textContent !== text) t.textContent = text;
    }
  };
  setInterval(() => { if (!document.hidden) tick(document); }, 5000);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) { tick(document); unread(0); } });

  const nav = document.querySelector('nav'), here = nav.querySelector('[aria-current]');
  if (here) nav.scrollLeft = here.offsetLeft - nav.offsetLeft - 60;

  for (const s of document.querySelectorAll('form.filter select')) s.addEventListener('change', () => s.form.requestSubmit());

  // A page without events is loaded again now and then, while nobody reads something that would close or writes in a field.
  const wait = Number(document.body.dataset.reload);
  if (wait) setInterval(() => {
    const a = document.activeElement;
    const busy = a && /^(INPUT|TEXTAREA|SELECT|BUTTON|A)$/.test(a.tagName) || document.querySelector('details[open]') || String(getSelection());
    if (!busy && !document.hidden && scrollY < 200) location.reload();
  }, wait * 1000);

  const address = document.body.dataset.live;
  const list = $('alerts');
  if (!address || !list || !window.EventSource) return;

  const most = 200; // cards in one page
  const title = document.title;
  let count = 0;
  const unread = n => { count = n; document.title = (n ? '(' + n + ') ' : '') + title; };

  const node = html => { const t = document.createElement('template'); t.innerHTML = html; return t.content.firstElementChild; };
  const held = [];
  const fresh = $('fresh');
  const away = () => list.getBoundingClientRect().top < -60;
  const put = e => {
    if ($('a' + e.seq)) return;
    const li = node(e.html);
    li.classList.add('fresh');
    list.prepend(li);
    tick(li);
    $('quiet').hidden = true;
    while (list.children.length > most) list.lastElementChild.remove();
  };
  const release = () => { for (const e of held.splice(0)) put(e); fresh.hidden = true; };
  fresh.firstElementChild.addEventListener('click', () => {
    release();
    const first = list.querySelector('h2 a, a');
    scrollTo({ top: 0 });
    if (first) first.focus({ preventScroll: true });
  });
  addEventListener('scroll', () => { if (held.length && !away()) release(); }, { passive: true });

  let say = 0;
  const tell = text => {
    clearTimeout(say);
    say = setTimeout(() => { $('say').textContent = text; }, 700);
  };

  const on = {
    alert(e) {
      if (away()) {
        held.push(e);
        fresh.firstElementChild.textContent = held.length === 1 ? '1 new alert' : held.length + ' new alerts';
        fresh.hidden = false;
      } else put(e);
      if (document.hidden) unread(count + 1);
      tell(e.say);
    },
    fate(e) {
      const li = $('a' + e.seq);
      const old = li && li.querySelector('.fates');
      if (old && old.outerHTML !== e.html) old.replaceWith(node(e.html));
    },
    health(e) {
      const old = $('health'), now = node(e.html);
      tick(now);
      old.className = now.className;
      const focused = document.activeElement && old.contains(document.activeElement);
      if (!focused) old.querySelector('.facts').replaceWith(now.querySelector('.facts'));
      const a = old.querySelector('.problems'), b = now.querySelector('.problems');
      if (a.textContent !== b.textContent) a.replaceChildren(...b.children);
    },
  };

  let source, since = 0, last = '', timer = 0;
  const state = text => { const s = $('link-state'); s.hidden = !text; s.textContent = text; };
  const connect = () => {
    const u = new URL(address, location);
    if (last) u.searchParams.set('after', last);
    source = new EventSource(u);
    source.onopen = () => { since = 0; state(''); };
    source.onerror = () => {
      since = since || Date.now();
      state('not live since ' + new Date(since).toLocaleTimeString());
      if (source.readyState === EventSource.CLOSED) { clearTimeout(timer); timer = setTimeout(connect, 10000); }
    };
    for (const name of Object.keys(on)) source.addEventListener(name, m => { if (m.lastEventId) last = m.lastEventId; on[name](JSON.parse(m.data)); });
    source.addEventListener('reload', () => { source.close(); location.reload(); });
  };
  connect();
  addEventListener('pagehide', () => source.close());
  addEventListener('pageshow', e => { if (e.persisted) connect(); });
})();
