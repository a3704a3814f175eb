"""Pages like RStudio Server's, as its sources have them: what an injected widget can disturb, in one small server."""

from __future__ import annotations

from aiohttp import web

_HEAD = """<!DOCTYPE html>

<!--
  This program is licensed to you under the terms of version 3 of the GNU Affero General Public License.
-->

<!-- Rendered in standards mode -->
<html lang="en"><head>
<meta charset="utf-8">
<meta name="rs-csrf-token" content="c5c1d9a0">
"""
# The IDE's document has an empty body: a script fills it, with a full-screen panel, iframes, and a header whose left
# end has the menus and whose right end has user, sign-out and power.
IDE = (
    _HEAD
    + """<title>RStudio Server</title></head><body><script>
  const add = (to, tag, style, set) => {
    const el = document.createElement(tag);
    el.style.cssText = style;
    Object.assign(el, set);
    to.append(el);
    return el;
  };
  const at = (left, top, width, height) =>
    `position:absolute;left:${left}px;top:${top}px;width:${width}px;height:${height}px`;
  const root = add(document.body, 'div', 'position:fixed;inset:0;background:#fff;font:13px sans-serif');
  document.body.className = 'rstudio-themes-flat' + (DARK ? ' rstudio-themes-dark rstudio-themes-dark-menus' : '');
  const bar = add(root, 'div', 'position:absolute;inset:0 0 auto 0;height:65px;background:#e0e4e8', {id: 'header'});
  const menus = ['File', 'Edit', 'Code', 'View', 'Plots', 'Session', 'Build', 'Debug', 'Profile', 'Tools', 'Help'];
  menus.forEach((text, i) => add(bar, 'div', at(40 + i * 60, 4, 56, 20), {textContent: text, role: 'menuitem'}));
  ['rstudio', 'Sign out', 'Quit'].forEach((text, i) =>
    add(bar, 'button', `position:absolute;right:${10 + i * 80}px;top:2px;width:76px;height:24px`, {textContent: text}));
  add(root, 'textarea', at(8, 80, 560, 560), {id: 'console'});
  add(root, 'iframe', at(600, 80, 300, 300), {src: '/help/doc/home/', name: 'help'});
  add(root, 'iframe', at(600, 400, 300, 240), {src: '/session/viewer/x.html', name: 'viewer'});
  window.heard = [];
  window.addEventListener('message', (event) => heard.push(event.data), true);
  window.keys = [];
  document.addEventListener('keydown', (event) => keys.push(event.key), true);
</script></body></html>"""
)
# The sign-in page asks for `./` every 3 s (here: 10 times as often), and takes a 200 from elsewhere for a sign-in.
SIGN_IN = (
    _HEAD
    + """<title>RStudio Sign In</title></head><body>
<form method="POST" action="auth-do-sign-in"><input name="username" id="username"><button>Sign In</button></form>
<script>
  window.asked = window.polls = 0;
  setInterval(async () => {
    asked += 1;
    const answer = await fetch('./', {headers: {'X-Requested-With': 'XMLHttpRequest'}});
    polls += 1;
    if (answer.ok && !answer.url.includes('auth-sign-in')) document.title = 'believes somebody signed in';
  }, 300);
</script></body></html>"""
)
PIECE = "<html><head></head><body>a piece of the IDE</body></html>"


def app(*, dark: bool = False, name: str = "rstudio", seen: list[str] | None = None) -> web.Application:
    """The server. Its login cookie carries its name; `seen` collects every Cookie line that reaches it."""
    made = web.Application()
    made.router.add_route("*", "/{tail:.*}", _Server(dark, name, [] if seen is None else seen).answer)
    return made


class _Server:
    def __init__(self, dark: bool, name: str, seen: list[str]) -> None:
        self._dark, self._name, self._seen = dark, name, seen

    async def answer(self, request: web.Request) -> web.Response:
        self._seen.append(request.headers.get("Cookie", ""))
        headers = {"Server": "RStudio", "Connection": "close", "X-Content-Type-Options": "nosniff"}
        if request.path == "/auth-do-sign-in":
            found = web.Response(status=302, headers={**headers, "Location": f"http://{request.host}/"})
            found.set_cookie("user-id", f"signed-by-{self._name}", httponly=True, path="/")
            return found
        if request.path == "/auth-sign-in":
            return _html(SIGN_IN, headers)
        if request.path.startswith(("/help/", "/session/")):
            return _html(PIECE, headers | {"X-Frame-Options": "SAMEORIGIN"})
        if request.cookies.get("user-id") != f"signed-by-{self._name}":
            location = f"http://{request.host}/auth-sign-in?appUri=%2F"
            return web.Response(status=302, headers={**headers, "Location": location})
        return _html(IDE.replace("DARK", "true" if self._dark else "false", 1), headers)


def _html(text: str, headers: dict[str, str]) -> web.Response:
    return web.Response(text=text, content_type="text/html", headers={"X-Frame-Options": "DENY", **headers})
