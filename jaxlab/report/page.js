// A picture is enlarged by the wheel once it has been clicked, moved by dragging, and as it was after a double click.
for (const svg of document.querySelectorAll(".pictures svg[viewBox]")) {
  const whole = svg.getAttribute("viewBox").split(" ").map(Number);
  let [x, y, width, height] = whole, from = null;
  const show = () => svg.setAttribute("viewBox", [x, y, width, height].join(" "));
  const reset = () => { [x, y, width, height] = whole; show(); };
  svg.setAttribute("tabindex", "0");
  svg.addEventListener("wheel", event => {
    if (document.activeElement !== svg) return;
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    const factor = Math.min(whole[2] / width, Math.max(1 / 40 * whole[2] / width, Math.exp(event.deltaY / 400)));
    x += (event.clientX - box.left) / box.width * width * (1 - factor);
    y += (event.clientY - box.top) / box.height * height * (1 - factor);
    width *= factor;
    height *= factor;
    if (width >= whole[2]) reset(); else show();
  }, { passive: false });
  svg.addEventListener("pointerdown", event => { if (width < whole[2]) from = [event.clientX, event.clientY]; });
  svg.addEventListener("pointermove", event => {
    if (from === null) return;
    const box = svg.getBoundingClientRect();
    x -= (event.clientX - from[0]) / box.width * width;
    y -= (event.clientY - from[1]) / box.height * height;
    from = [event.clientX, event.clientY];
    show();
  });
  for (const end of ["pointerup", "pointerleave"]) svg.addEventListener(end, () => { from = null; });
  svg.addEventListener("dblclick", reset);
}
