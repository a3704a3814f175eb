// The loader: the only script of ours in a job's page. It mounts the widget's frame, and moves and sizes it as the
// frame says (place.js has the geometry, since this file is sent with every page).
//
// The page belongs to the job and to whatever code runs in its notebooks, so nothing here is secret and nothing here
// can act. From the frame come a box, a drag, a question which places are free; to it go the window's size, the
// colours of the page and where a drag ended. Styles are set through the CSSOM, which passes `style-src 'none'`; there
// is no innerHTML and no script URL, which passes `require-trusted-types-for 'script'`. Comment lines and indentation
// are not sent (widget/assets.py).
(() => {
  const JOB = "$JOB", PORT = "$PORT", doc = document;
  // Frames get no widget, nor do RStudio's satellite windows, which are the same page once more.
  // @ts-ignore: `name` is the window's; `floatgate` is ours
  if (top !== window || /^_rstudio_satellite_/.test(name) || doc.floatgate) return;
  // @ts-ignore
  doc.floatgate = 1;

  const W = location.protocol + "//" + location.hostname + ":" + PORT;
  const between = (n, high) => Math.max(0, Math.min(+n || 0, high));
  const paint = (el, rules) => {
    el.style.cssText = ("all:initial;position:fixed;z-index:2147483647;" + rules).replaceAll(";", "!important;");
  };
  const add = (el) => doc.documentElement.append(el);
  const send = (message) => port && port.postMessage(message);
  const frame = doc.createElement("iframe");
  // A box: width, height, from the right (else left), how far, from the bottom (else top), how far, card open.
  let port, ready, pill, drag, lives = 20, box = [0, 0, 1, 280, 0, 1];

  const edges = (w, h) => (box[2] ? "right:" : "left:") + between(box[3], innerWidth - w) + "px;" +
    (box[4] ? "bottom:" : "top:") + between(box[5], innerHeight - h) + "px;";
  const show = () => {
    const w = between(box[0], 420), h = between(box[1], 560);
    paint(frame, edges(w, h) + `width:${w}px;height:${h}px;border:0;border-radius:13px;color-scheme:light dark;` +
      (ready ? "" : "visibility:hidden;") + (box[6] ? "box-shadow:0 8px 28px #0004;" : ""));
  };
  const view = () => { show(); send({ view: [innerWidth, innerHeight] }); };
  const theme = () => {
    const body = doc.body;
    if (body) send({ theme: [body.dataset.jpThemeLight, body.className, getComputedStyle(body).backgroundColor] });
  };

  // How many px of the screen are one of the page's: browsers zoom pages, and say so only in the way a pointer goes.
  let zoom = 1, was;
  const learn = ({ screenX: x, clientX: to }) => {
    if (was && Math.abs(to - was[1]) < 99) return;
    if (was) zoom = (x - was[0]) / (to - was[1]);
    was = [x, to];
  };

  // Which side gets a drag's events differs between browsers, so both listen. Coordinates are the screen's.
  const move = (x, y) => {
    if (!drag) return;
    box = [box[0], box[1], 0, drag.left + (x - drag.x) / zoom, 0, drag.top + (y - drag.y) / zoom, box[6]];
    show();
  };
  const drop = () => {
    if (!drag) return;
    const { left, top } = frame.getBoundingClientRect();
    send({ dropped: [left, top] });
    drag = drag.shield.remove();
  };
  const start = (x, y) => {
    drop();
    const { left, top } = frame.getBoundingClientRect(), shield = doc.createElement("div");
    paint(shield, "inset:0;cursor:grabbing;touch-action:none;");
    shield.onpointermove = (e) => (e.buttons ? move(e.screenX, e.screenY) : drop());
    shield.onpointerup = shield.onpointercancel = drop;
    add(shield);
    drag = { x, y, left, top, shield };
  };

  // Whether no control of the page lies beneath a box.
  const free = (busy) => ([x, y, w, h]) => [1, w / 4, w / 2, w * 0.75, w - 1].every((step) =>
    doc.elementsFromPoint(x + step, y + h / 2).every((el) => el === frame || !el.closest(busy)));

  const receive = ({ data: m }) => {
    if (m.box) {
      box = m.box;
      ready = 1;
      if (pill) pill = pill.remove();
      show();
    }
    if (m.ds) start(...m.ds);
    if (m.dm) move(...m.dm);
    if (m.de) drop();
    if (m.ask) send({ free: m.ask.map(free(m.of)) });
    // A click into another origin's frame does not close RStudio's menus; this does.
    if (m.active && doc.body) doc.body.dispatchEvent(new MouseEvent("mousedown", { bubbles: true }));
  };

  // The control port may be closed to this browser: then the state alone, from the page's own port, and a way there.
  const poll = async (wait) => {
    if (!pill) return;
    if (!doc.hidden) try {
      const { status, since, now } = await (await fetch("/.gw/state", { cache: "no-store", credentials: "omit" })).json();
      const t = Math.max(0, (now - since) / 1e3);
      pill.textContent = status + (status === "Executing" ? "" : ` ${t / 60 | 0}:${t % 60 / 10 | 0}${t % 10 | 0}`);
      wait = 3e3;
    } catch { wait = Math.min(wait * 1.5, 15e3); }
    setTimeout(poll, wait * (0.8 + Math.random() / 3), wait);
  };
  setTimeout(() => {
    if (ready) return;
    pill = doc.createElement("a");
    paint(pill, edges(140, 26) + "font:600 12px/26px system-ui;padding:0 12px;border-radius:13px;background:#fff;color:#123;outline:1px solid #89a;cursor:pointer;");
    pill.title = frame.title;
    pill.href = W + "/login?job=" + JOB;
    pill.target = "_blank";
    pill.rel = "noopener";
    add(pill);
    poll(3e3);
  }, 4e3);

  // JupyterLab and GWT fill the document later and may replace what is there: come back, but do not fight for ever.
  const keep = () => frame.isConnected || lives-- < 1 || add(frame);
  frame.title = "Job control";
  frame.src = W + "/w/" + JOB;
  frame.onload = () => {
    const channel = new MessageChannel();
    (port = channel.port1).onmessage = receive;
    frame.contentWindow.postMessage("floatgate", W, [channel.port2]);
    theme();
    view();
  };
  show();
  keep();
  new MutationObserver(keep).observe(doc.documentElement, { childList: true });
  setInterval(() => { keep(); theme(); }, 3e3);
  addEventListener("resize", view);
  addEventListener("pointermove", learn, true);
  addEventListener("pointerdown", () => send({ outside: 1 }), true);
  addEventListener("keydown", (e) => e.ctrlKey && e.altKey && e.code === "KeyJ" && send({ key: 1 }), true);
})();
