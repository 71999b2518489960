// The whiteboard, in the place of what is large.

import { useSignal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { refusals } from "../pure/may.js";
import { listNames } from "../pure/people.js";
import { boardSize, colours, pathOf, penWidth, type Stroke } from "../pure/strokes.js";
import type { Board, Call } from "../state/call.js";
import { boardPoint, colour, Drawing, Erasing, tool, type Tool } from "../state/drawing.js";
import { boardOpen, dialog } from "../state/view.js";
import { useFocusWhileOpen } from "./focus.js";
import { Icon } from "./icon.js";
import type { IconName } from "./sprite.gen.js";
import { isTouch } from "./tile.js";
import { Waiting } from "./waiting.js";

export function BoardStage({ call, board }: { readonly call: Call; readonly board: Board }): JSX.Element {
  const section = useRef<HTMLElement>(null);
  useFocusWhileOpen(section);
  return (
    <section class="board" aria-label="Whiteboard" ref={section} tabIndex={-1}>
      <div class="board-space">
        <Ground call={call} board={board} />
      </div>
      <Tools call={call} board={board} />
      <Waiting call={call} isPending={board.isPending} />
    </section>
  );
}

function Ground({ call, board }: { readonly call: Call; readonly board: Board }): JSX.Element {
  const drawing = useSignal<Drawing | Erasing | undefined>(undefined);
  const space = useRef<SVGSVGElement>(null);
  const end = (): void => {
    if (drawing.value instanceof Drawing) drawing.value.end();
    drawing.value = undefined;
  };
  useEffect(() => end, []);
  useSignalEffect(() => {
    if (call.may.value.write) return;
    drawing.peek()?.cancel();
    drawing.value = undefined;
  });
  const down = (e: PointerEvent): void => {
    if (!call.may.value.write || !e.isPrimary || e.button !== 0 || !space.current) return;
    e.preventDefault();
    end();
    space.current.setPointerCapture(e.pointerId);
    const at = boardPoint(e, space.current.getBoundingClientRect());
    drawing.value = tool.value === "pen" ? new Drawing(board, at) : new Erasing(board, at);
  };
  const move = (e: PointerEvent): void => {
    if (!drawing.value || !e.isPrimary || !space.current) return;
    const rectangle = space.current.getBoundingClientRect();
    const all = e.getCoalescedEvents();
    for (const one of all.length > 0 ? all : [e]) drawing.value.move(...boardPoint(one, rectangle));
  };
  const isEmpty = board.strokes.value.length === 0 && !drawing.value;
  return (
    <div class="board-ground">
      <svg
        ref={space}
        class={`strokes ${call.may.value.write ? tool.value : ""}`}
        viewBox={`0 0 ${boardSize.width} ${boardSize.height}`}
        stroke-width={penWidth}
        role="img"
        aria-label={describe(board.strokes.value, call)}
        onTouchStart={(e) => call.may.value.write && e.preventDefault()} // Chromium takes a quick stroke for a fling, and swallows the tap after it
        onPointerDown={down}
        onPointerMove={move}
        onPointerUp={end}
        onPointerCancel={end}
      >
        {board.strokes.value.map((stroke) => (
          <path key={stroke.key} class={stroke.colour} d={shapeOf(stroke)} />
        ))}
        {drawing.value instanceof Drawing && <Unsent drawing={drawing.value} />}
      </svg>
      {isEmpty && (
        <div class="empty">
          <Icon name="board" />
          <strong>Nothing is drawn yet</strong>
          <p>{call.may.value.write ? `Draw with ${isTouch() ? "a finger" : "the mouse"}: everyone in the room sees it, and can draw too.` : "You see here what others draw."}</p>
        </div>
      )}
    </div>
  );
}

function Unsent({ drawing }: { readonly drawing: Drawing }): JSX.Element {
  return <path class={drawing.colour} d={pathOf(drawing.points.value)} />;
}

const shapes = new WeakMap<Stroke, string>();

function shapeOf(stroke: Stroke): string {
  const known = shapes.get(stroke) ?? pathOf(stroke.points);
  shapes.set(stroke, known);
  return known;
}

function describe(strokes: readonly Stroke[], call: Call): string {
  if (strokes.length === 0) return "The whiteboard is empty";
  const names = [...new Set(strokes.map(({ by }) => call.people.value.find((p) => p.identity === by)?.name ?? "somebody who has left"))];
  return `A drawing by ${listNames(names)}`;
}

function Tools({ call, board }: { readonly call: Call; readonly board: Board }): JSX.Element {
  return (
    <div class="board-tools" role="group" aria-label="Tools">
      {!call.may.value.write && <p>{`${refusals.board}.`}</p>}
      {call.may.value.write && (
        <>
          <ToolButton which="pen" label="Pen" />
          <ToolButton which="eraser" label="Eraser" />
          <Colours />
          <button type="button" class="quiet" aria-label="Undo" data-tip="Undo your last stroke" aria-disabled={!board.canUndo} onClick={() => board.undo()}>
            <Icon name="undo" />
          </button>
          <button type="button" class="quiet" aria-label="Wipe the whiteboard" data-tip="Wipe all of it" aria-disabled={!board.canWipe} onClick={() => board.canWipe && (dialog.value = { is: "wipe", board })}>
            <Icon name="wipe" />
          </button>
        </>
      )}
      <button type="button" class="quiet" aria-label="Close the whiteboard" data-tip="Close (Esc)" onClick={() => (boardOpen.value = false)}>
        <Icon name="close" />
      </button>
    </div>
  );
}

function ToolButton({ which, label }: { readonly which: Tool; readonly label: string }): JSX.Element {
  const isChosen = tool.value === which;
  return (
    <button type="button" class={`quiet${isChosen ? " chosen" : ""}`} aria-label={label} aria-pressed={isChosen} data-tip={label} onClick={() => (tool.value = which)}>
      <Icon name={which satisfies IconName} />
    </button>
  );
}

function Colours(): JSX.Element {
  return (
    <div class="board-colours" role="group" aria-label="Colour">
      {colours.map((name) => {
        const isChosen = tool.value === "pen" && colour.value === name;
        return (
          <button
            key={name}
            type="button"
            class={`quiet colour ${name}${isChosen ? " chosen" : ""}`}
            aria-label={name.replace(/^./, (c) => c.toUpperCase())}
            aria-pressed={isChosen}
            onClick={() => {
              colour.value = name;
              tool.value = "pen";
            }}
          />
        );
      })}
    </div>
  );
}
