"""`/`: what this is, and how to begin."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter()

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>LERENet</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #222; }}
pre {{ background: #f2f3f5; padding: 1rem; overflow-x: auto; border-radius: 4px; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #17191c; color: #ddd; }} pre {{ background: #24272b; }}
a {{ color: #8ab8ff; }} }}
</style>
<h1>LERENet</h1>
<p>Few-shot segmentation of metal surface defects. Register a defect from 1 to 10 marked images, and get its pixel masks
on the next frames at once, without training.</p>
<h2>Register a class</h2>
<pre>curl {base}/support -F name=scratches \\
  -F images=@plate1.png -F masks=@mask1.png \\
  -F images=@plate2.png -F masks=@mask2.png</pre>
<h2>Segment a frame</h2>
<pre>curl {base}/segment -F images=@frame.png
curl '{base}/segment?classes=scratches' -H 'Content-Type: image/png' --data-binary @frame.png
curl {base}/segment -F images=@frame.png -H 'Accept: image/png' -o mask.png</pre>
<p><a href="{base}/docs">All routes</a> · <a href="{base}/limits">limits</a> · <a href="{base}/version">version</a> ·
<a href="{base}/support">registered classes</a></p>
</html>
"""


@router.get("/", include_in_schema=False, response_class=HTMLResponse)
async def page(request: Request) -> HTMLResponse:
    """A short page with lines to copy; addresses are those the caller used."""
    return HTMLResponse(PAGE.format(base=escape(str(request.base_url).rstrip("/"))))
