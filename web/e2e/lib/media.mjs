// Known pictures and tones. Every participant has a number from 1 to 15, which its picture shows as bars and its tone tells
// by its frequency.
//
//	+--------------------------------+
//	|  margin, grey                  |
//	|  +--------------------------+  |
//	|  | 4 bits number, 4 inverse |  |  bars, dark 0 and light 1
//	|  +--------------------------+  |
//	|  | 8 bits frame, Gray code  |  |
//	|  +--------------------------+  |
//	|  | the participant's colour |  |
//	|  +--------------------------+  |
//	+--------------------------------+

import { writeFileSync } from 'node:fs';

/** Parts of width and height; page.js draws and reads with the same numbers. */
export const geometry = { left: 0.1, right: 0.9, rows: [0.1, 0.4, 0.7, 0.9], dark: 45, light: 210, grey: 128 };

export const frequencyOf = (number) => 400 + 170 * number;

const gray = (n) => n ^ (n >> 1);

/** The 16 bits of a picture: number, its inverse, frame in Gray code; the first is the highest. */
export const bits = (number, frame) => ((number & 15) << 12) | ((~number & 15) << 8) | gray(frame & 255);

function lumaAt(x, y, word) {
  const { left, right, rows, dark, light, grey } = geometry;
  if (x < left || x >= right || y < rows[0] || y >= rows[3]) return grey;
  if (y >= rows[2]) return 150;
  const column = Math.floor(((x - left) / (right - left)) * 8);
  const bit = 15 - column - (y >= rows[1] ? 8 : 0);
  return (word >> bit) & 1 ? light : dark;
}

/** One I420 frame. */
export function frame(number, n, width, height) {
  const luma = Buffer.alloc(width * height);
  const word = bits(number, n);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) luma[y * width + x] = lumaAt(x / width, y / height, word);
  }
  const w = width / 2;
  const h = height / 2;
  const chroma = [Buffer.alloc(w * h, 128), Buffer.alloc(w * h, 128)];
  const angle = (number / 15) * 2 * Math.PI;
  for (let y = Math.ceil(geometry.rows[2] * h); y < geometry.rows[3] * h; y++) {
    for (let x = Math.ceil(geometry.left * w); x < geometry.right * w; x++) {
      chroma[0][y * w + x] = 128 + 60 * Math.cos(angle);
      chroma[1][y * w + x] = 128 + 60 * Math.sin(angle);
    }
  }
  return Buffer.concat([luma, ...chroma]);
}

/** Writes a film of a participant's picture, which Chromium repeats. */
export function writeFilm(file, number, { width = 320, height = 240, rate = 15, frames = 30 } = {}) {
  const parts = [Buffer.from(`YUV4MPEG2 W${width} H${height} F${rate}:1 Ip A1:1 C420jpeg\n`)];
  for (let n = 0; n < frames; n++) parts.push(Buffer.from('FRAME\n'), frame(number, n, width, height));
  writeFileSync(file, Buffer.concat(parts));
}

/** Writes a second of a participant's tone (16 bits, mono), which Chromium repeats; whole periods, so that it never clicks. */
export function writeTone(file, frequency, { rate = 48000, seconds = 1, level = 0.3 } = {}) {
  const samples = rate * seconds;
  const wav = Buffer.alloc(44 + 2 * samples);
  wav.write('RIFF', 0);
  wav.writeUInt32LE(36 + 2 * samples, 4);
  wav.write('WAVEfmt ', 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20); // PCM
  wav.writeUInt16LE(1, 22); // channels
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate * 2, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36);
  wav.writeUInt32LE(2 * samples, 40);
  for (let i = 0; i < samples; i++) {
    wav.writeInt16LE(Math.round(32767 * level * Math.sin((2 * Math.PI * frequency * i) / rate)), 44 + 2 * i);
  }
  writeFileSync(file, wav);
}
