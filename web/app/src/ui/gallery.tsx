// Where everyone is seen.

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { arrange, shareKey } from "../pure/arrange.js";
import { fitGrid, type Space } from "../pure/grid.js";
import type { Board, Call, Person } from "../state/call.js";
import { invite, inviteLabel, isOnlyHere, linkOf } from "../state/link.js";
import { boardOpen, pinned, portrait, viewFor } from "../state/view.js";
import { BoardStage } from "./board.js";
import { Icon } from "./icon.js";
import { Tile, type TileItem } from "./tile.js";

const gap = 8;

export function Gallery({ call }: { readonly call: Call }): JSX.Element {
  const board = boardOpen.value ? call.board.value : undefined;
  const { kind, content } = board ? aroundBoard(call, board) : faces(call);
  return (
    <main class={`gallery ${kind}`} tabIndex={-1}>
      <h1 class="hidden">{call.room}</h1>
      {content}
    </main>
  );
}

/** What the stage holds, and the classes that arrange it. */
interface Content {
  readonly kind: string;
  readonly content: JSX.Element;
}

function faces(call: Call): Content {
  const people = call.people.value;
  const arrangement = arrange(people.flatMap(itemsOf), pinned.value, featuredIn(call));
  const isUpright = arrangement.is === "stage" && arrangement.stage.isShare && portrait.value;
  const content = (
    <>
      {arrangement.is === "stage" && (
        <div class="stage">
          <Tile key={arrangement.stage.key} item={arrangement.stage} call={call} size="large" />
        </div>
      )}
      {arrangement.is === "grid" && <Grid call={call} tiles={arrangement.tiles} />}
      {arrangement.is === "stage" && (isUpright ? <Grid call={call} tiles={arrangement.strip} /> : <Strip call={call} tiles={arrangement.strip} />)}
      {arrangement.is === "grid" && arrangement.floating && (
        <div class="floating">
          <Tile item={arrangement.floating} call={call} size="small" />
        </div>
      )}
      {people.length === 1 && call.connection.value !== "reconnecting" && <FirstHere call={call} />}
    </>
  );
  return { kind: `as-${arrangement.is}${isUpright ? " upright" : ""}`, content };
}

/** The whiteboard is large, and everyone is beside or below it. */
function aroundBoard(call: Call, board: Board): Content {
  const tiles = call.people.value.flatMap(itemsOf);
  const content = (
    <>
      <div class="stage">
        <BoardStage call={call} board={board} />
      </div>
      {portrait.value ? <Grid call={call} tiles={tiles} /> : <Strip call={call} tiles={tiles} />}
    </>
  );
  return { kind: `as-stage with-board${portrait.value ? " upright" : ""}`, content };
}

/** The speaker view is for more than two: with one other, one's own face floats. */
function featuredIn({ people, featured }: Call): string {
  const count = people.value.length;
  return count > 2 && viewFor(count) === "speaker" ? featured.value : "";
}

function itemsOf(person: Person): TileItem[] {
  const { identity, isLocal } = person;
  const face: TileItem = { key: identity, person, isLocal, isShare: false, picture: person.camera };
  return [face, ...person.shares.map(({ id, picture }): TileItem => ({ key: shareKey(identity, id), person, isLocal, isShare: true, picture }))];
}

function Strip({ call, tiles }: { readonly call: Call; readonly tiles: readonly TileItem[] }): JSX.Element {
  return (
    <div class="strip">
      {tiles.map((item) => (
        <Tile key={item.key} item={item} call={call} size="small" />
      ))}
    </div>
  );
}

function Grid({ call, tiles }: { readonly call: Call; readonly tiles: readonly TileItem[] }): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const space = useSignal<Space>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const watched = element.current;
    if (!watched) return undefined;
    const measure = (): void => {
      const { width, height } = watched.getBoundingClientRect();
      space.value = { width: Math.floor(width), height: Math.floor(height) };
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(watched);
    return () => observer.disconnect();
  }, []);
  const { columns, cell } = fitGrid(tiles.length, space.value, gap);
  const size = {
    "--cell-width": `${cell.width}px`,
    "--cell-height": `${cell.height}px`,
    "--grid-width": `${columns * cell.width + (columns - 1) * gap}px`,
  };
  return (
    <div class="grid" ref={element}>
      <div class="grid-cells" style={size}>
        {cell.width > 0 && tiles.map((item) => <Tile key={item.key} item={item} call={call} size={cell.width < 220 ? "small" : "large"} />)}
      </div>
    </div>
  );
}

function firstStep(call: Call): string {
  if (isOnlyHere.value) return "This server can be reached only on this machine. What it printed when it started says why.";
  return call.byInvitation ? "Each guest needs an invitation of their own." : "Copy the link and send it to whom you want to meet.";
}

function FirstHere({ call }: { readonly call: Call }): JSX.Element {
  return (
    <section class="first-here" aria-label="Invite others">
      <strong>You are the first here.</strong>
      <p>{firstStep(call)}</p>
      <div class="link">
        {!call.byInvitation && <span class="link-text">{linkOf(call.room)}</span>}
        <button type="button" class="primary small" onClick={() => invite(call)}>
          <Icon name="copy" /> {inviteLabel(call)}
        </button>
      </div>
    </section>
  );
}
