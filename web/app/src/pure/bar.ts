// Which of a call's buttons stand in its bar, and which in its menu: fingers hit what is large enough and apart.

/** In CSS pixels. The style gives buttons more where there is more. */
const button = 44;
const gap = 6;

/** What the menu takes over where the bar is short of room: the first here comes first. */
const leaving = ["share", "people", "hand"] as const;
export type Leaving = (typeof leaving)[number];

/** Those of the offered buttons for which a bar of this width has no room beside so many that always stay. */
export function withoutRoom(offered: readonly Leaving[], staying: number, width: number): readonly Leaving[] {
  const room = Math.floor((width + gap) / (button + gap));
  const surplus = Math.max(0, staying + offered.length - room);
  return leaving.filter((which) => offered.includes(which)).slice(0, surplus);
}
