// Drawn faces and a drawn document, so that screens look as they do in a call.

type Context = CanvasRenderingContext2D;

interface Look {
  readonly wall: string;
  readonly skin: string;
  readonly hair: string;
  readonly shirt: string;
  readonly cut: "short" | "long" | "bun" | "curls";
  readonly glasses?: boolean;
}

const looks: readonly Look[] = [
  { wall: "#c9b59b", skin: "#c98f68", hair: "#1d1916", shirt: "#7b3f4c", cut: "long" },
  { wall: "#9fb39a", skin: "#f0c8a8", hair: "#8a5426", shirt: "#34486b", cut: "bun" },
  { wall: "#a9a3bd", skin: "#e2b08d", hair: "#5a4632", shirt: "#5b6b3a", cut: "short", glasses: true },
  { wall: "#8f9ac0", skin: "#7a4c31", hair: "#211b1d", shirt: "#b5673f", cut: "curls" },
  { wall: "#b8a193", skin: "#e8be98", hair: "#17171b", shirt: "#2f5d62", cut: "short" },
  { wall: "#93aeb5", skin: "#a9714b", hair: "#2b211c", shirt: "#6a4c7d", cut: "long", glasses: true },
];

export function drawPerson(c: Context, i: number, at: number): void {
  const { width: w, height: h } = c.canvas;
  const look = looks[i % looks.length];
  if (!look) return;
  drawRoom(c, look.wall, i);
  const [x, y, r] = [w / 2 + Math.sin(at / 6 + i) * 7, h * 0.45, h * 0.19];
  if (look.cut === "long") {
    c.fillStyle = look.hair;
    c.beginPath();
    c.roundRect(x - r * 1.16, y - r * 0.9, r * 2.32, r * 2.7, r);
    c.fill();
  }
  c.fillStyle = look.shirt;
  ellipse(c, w / 2, h * 1.08, h * 0.46, h * 0.4);
  drawHead(c, look, x, y, r);
  drawFace(c, look, x, y, r, Math.abs(Math.sin(at / 3 + i)));
}

function drawRoom(c: Context, wall: string, i: number): void {
  const { width: w, height: h } = c.canvas;
  c.fillStyle = wall;
  c.fillRect(0, 0, w, h);
  c.fillStyle = "rgb(255 255 255 / 25%)";
  if (i % 2 === 0) c.fillRect(w * 0.08, h * 0.1, w * 0.2, h * 0.36);
  else for (let n = 0; n < 3; n++) c.fillRect(w * 0.74, h * (0.14 + 0.2 * n), w * 0.18, h * 0.015);
  c.fillStyle = "rgb(0 0 0 / 11%)";
  if (i % 2 === 0) c.fillRect(w * 0.76, h * 0.34, w * 0.16, h * 0.66);
  else for (let n = 0; n < 7; n++) c.fillRect(w * (0.745 + 0.022 * n), h * (0.235 + 0.02 * (n % 3)), w * 0.016, h * (0.105 - 0.02 * (n % 3)));
}

function drawHead(c: Context, { skin, hair, cut }: Look, x: number, y: number, r: number): void {
  c.fillStyle = hair;
  if (cut === "bun") ellipse(c, x, y - r * 1.4, r * 0.42, r * 0.4);
  if (cut === "curls") for (let n = 0; n < 9; n++) ellipse(c, x + Math.cos((n / 8) * Math.PI) * r * 1.05, y - r * 0.2 - Math.sin((n / 8) * Math.PI) * r * 0.95, r * 0.4, r * 0.4);
  ellipse(c, x, y - r * 0.25, r * 1.08, r * 1.08);
  c.fillStyle = skin;
  c.beginPath();
  c.roundRect(x - r * 0.34, y + r * 0.6, r * 0.68, r * 1.05, r * 0.3);
  c.fill();
  ellipse(c, x, y + r * 0.14, r * 0.92, r * 1.06);
  c.fillStyle = hair;
  c.beginPath(); // the fringe
  c.ellipse(x, y - r * 0.42, r * 0.94, r * 0.62, 0, Math.PI, 2 * Math.PI);
  c.quadraticCurveTo(x + r * 0.3, y - r * 0.75, x - r * 0.94, y - r * 0.42);
  c.fill();
}

function drawFace(c: Context, { glasses }: Look, x: number, y: number, r: number, open: number): void {
  c.fillStyle = "#2b2320";
  for (const side of [-1, 1]) ellipse(c, x + side * r * 0.36, y + r * 0.06, r * 0.075, r * 0.095);
  c.strokeStyle = "#2b2320";
  c.lineCap = "round";
  c.lineWidth = r * 0.055;
  if (glasses) {
    for (const side of [-1, 1]) {
      c.beginPath();
      c.ellipse(x + side * r * 0.37, y + r * 0.06, r * 0.27, r * 0.24, 0, 0, 2 * Math.PI);
      c.stroke();
    }
    c.beginPath();
    c.moveTo(x - r * 0.1, y + r * 0.04);
    c.lineTo(x + r * 0.1, y + r * 0.04);
    c.stroke();
  }
  c.fillStyle = "#8c3b3b";
  c.beginPath(); // a smile
  c.moveTo(x - r * 0.32, y + r * 0.56);
  c.quadraticCurveTo(x, y + r * (0.72 + 0.2 * open), x + r * 0.32, y + r * 0.56);
  c.quadraticCurveTo(x, y + r * 0.64, x - r * 0.32, y + r * 0.56);
  c.fill();
}

const plan = [
  ["1 March", "Screens are agreed", "Mia"],
  ["15 March", "First version for ten friends", "Jonas, Amina"],
  ["29 March", "What the friends said is mended", "Kenji"],
  ["12 April", "Translations are in", "Zoë"],
  ["26 April", "Release", "everybody"],
] as const;

/** A page of text in 16:9. */
export function drawDocument(c: Context | OffscreenCanvasRenderingContext2D): void {
  const { width: w, height: h } = c.canvas;
  const u = w / 1280;
  const write = (text: string, x: number, y: number, font: string, colour: string): void => {
    c.font = font.replace(/\d+px/, (size) => `${Number.parseInt(size, 10) * u}px`);
    c.fillStyle = colour;
    c.fillText(text, x * u, y * u);
  };
  c.fillStyle = "#fffdf8";
  c.fillRect(0, 0, w, h);
  c.fillStyle = "#e4572e";
  c.fillRect(0, 0, 18 * u, h);
  write("Plan for the spring release", 90, 132, "700 56px sans-serif", "#1d2733");
  write("Five steps, two weeks each. What is not ready waits for summer.", 90, 190, "400 27px sans-serif", "#5b6673");
  plan.forEach(([day, step, who], i) => {
    const y = 290 + i * 84;
    c.fillStyle = i === plan.length - 1 ? "#ffe3d8" : i % 2 === 0 ? "#f3efe6" : "#fffdf8";
    c.fillRect(78 * u, (y - 52) * u, w - 150 * u, 80 * u);
    write(day, 104, y, "600 29px sans-serif", "#c2410c");
    write(step, 310, y, "400 29px sans-serif", "#1d2733");
    write(who, 920, y, "400 29px sans-serif", "#5b6673");
  });
}

function ellipse(c: Context, x: number, y: number, rx: number, ry: number): void {
  c.beginPath();
  c.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
  c.fill();
}
