// Drawn faces and a drawn document, so that screens look as they do in a call.

type Context = CanvasRenderingContext2D;

const rooms = ["#8fa9b8", "#c4ae93", "#9fb39a", "#b59aa6", "#8f9ac0", "#c9b8a5"];
const skins = ["#e2b08d", "#c98f68", "#8d5a3b", "#f0c8a8", "#a9714b", "#6f4630"];
const hairs = ["#3b2a20", "#1d1916", "#7a4a21", "#b98a4c", "#2a2a33", "#5a3522"];
const shirts = ["#2f5d62", "#7b3f4c", "#34486b", "#5b6b3a", "#6a4c7d", "#8a6a2f"];

export function drawPerson(c: Context, i: number, at: number): void {
  const { width: w, height: h } = c.canvas;
  const pick = (of: readonly string[], step: number): string => of[(i * step + 1) % of.length] ?? "#888";
  c.fillStyle = pick(rooms, 1);
  c.fillRect(0, 0, w, h);
  c.fillStyle = "rgb(255 255 255 / 22%)";
  c.fillRect(w * 0.08, h * 0.1, w * 0.2, h * 0.34);
  c.fillStyle = "rgb(0 0 0 / 12%)";
  c.fillRect(w * 0.76, h * 0.3, w * 0.18, h * 0.7);
  const sway = Math.sin(at / 6 + i) * 8;
  const [x, y, r] = [w / 2 + sway, h * 0.46, h * 0.19];
  c.fillStyle = pick(shirts, 1);
  ellipse(c, w / 2, h * 1.06, h * 0.46, h * 0.38);
  c.fillStyle = pick(skins, 1);
  c.fillRect(x - r * 0.35, y + r * 0.6, r * 0.7, r * 0.9);
  c.fillStyle = pick(hairs, 1);
  ellipse(c, x, y - r * 0.22, r * 1.12, r * 1.2);
  c.fillStyle = pick(skins, 1);
  ellipse(c, x, y + r * 0.1, r * 0.94, r * 1.12);
  c.fillStyle = "#2b2320";
  ellipse(c, x - r * 0.36, y, r * 0.08, r * 0.1);
  ellipse(c, x + r * 0.36, y, r * 0.08, r * 0.1);
  c.fillStyle = "rgb(120 40 40 / 75%)";
  ellipse(c, x, y + r * 0.62, r * 0.3, r * (0.07 + 0.05 * Math.abs(Math.sin(at + i))));
}

export function drawDocument(c: Context): void {
  const { width: w, height: h } = c.canvas;
  c.fillStyle = "#f3f4f6";
  c.fillRect(0, 0, w, h);
  c.fillStyle = "#d8dce1";
  c.fillRect(0, 0, w, 44);
  c.fillStyle = "#fff";
  c.fillRect(160, 84, w - 320, h);
  c.fillStyle = "#1d2733";
  c.font = "600 44px sans-serif";
  c.fillText("Plan for the spring release", 220, 170);
  c.fillStyle = "#9aa4b0";
  for (let i = 0; i < 11; i++) c.fillRect(220, 220 + i * 42, (w - 440) * (0.95 - ((i * 37) % 40) / 100), 14);
}

function ellipse(c: Context, x: number, y: number, rx: number, ry: number): void {
  c.beginPath();
  c.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
  c.fill();
}
