import { Skeleton } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, type KeyboardEvent, type MouseEvent, type ReactNode } from 'react';

export interface Column<T> {
  key: string;
  title: ReactNode;
  /** A grid track: `120px`, `minmax(160px, 2fr)`. */
  width: string;
  right?: boolean;
  render: (row: T) => ReactNode;
}

interface VirtualTableProps<T> {
  label: string;
  testId?: string;
  rows: readonly T[];
  columns: readonly Column<T>[];
  rowKey: (row: T, index: number) => string;
  onOpen?: (row: T) => void;
  /** More of a row, below it, over the whole width; null where there is none. */
  detail?: (row: T) => ReactNode;
  onEndReached?: () => void;
  maxHeight?: string;
  rowHeight?: number;
  /** Shown in place of rows. */
  empty?: ReactNode;
  loading?: boolean;
}

/** A table that holds in the page only the rows that can be seen. Up, Down, j and k move; Enter opens. */
export function VirtualTable<T>(props: VirtualTableProps<T>) {
  const { rows, columns, rowHeight = 36, onEndReached } = props;
  const scroll = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    getItemKey: (index) => props.rowKey(rows[index] as T, index),
  });
  const items = virtual.getVirtualItems();
  const lastIndex = items.at(-1)?.index ?? -1;
  useEffect(() => {
    if (rows.length > 0 && lastIndex >= rows.length - 8) onEndReached?.();
  }, [lastIndex, rows.length, onEndReached]);

  const template = columns.map((column) => column.width).join(' ');
  const minWidth = columns.reduce((sum, column) => sum + minPixels(column.width) + 12, 24);
  const onKeyDown = (event: KeyboardEvent<HTMLElement>, row: T) => {
    if (event.target !== event.currentTarget) return;
    if (event.key === 'Enter' && props.onOpen) props.onOpen(row);
    else if (event.key === 'ArrowDown' || event.key === 'j') focusBeside(event.currentTarget, 1);
    else if (event.key === 'ArrowUp' || event.key === 'k') focusBeside(event.currentTarget, -1);
    else return;
    event.preventDefault();
  };
  const onClick = (event: MouseEvent, row: T) => {
    const target = event.target as HTMLElement;
    if (props.onOpen && !target.closest('a,button,input,summary,pre,[data-detail]')) props.onOpen(row);
  };

  return (
    <div
      ref={scroll}
      className="bf-scroll"
      role="table"
      aria-label={props.label}
      aria-rowcount={rows.length}
      data-testid={props.testId}
      style={{ maxHeight: props.maxHeight ?? 'calc(100dvh - 220px)' }}
    >
      <div style={{ minWidth }}>
        <div className="bf-head" role="row" style={{ gridTemplateColumns: template }}>
          {columns.map((column) => (
            <div key={column.key} role="columnheader" className={column.right ? 'bf-cell bf-right' : 'bf-cell'}>
              {column.title}
            </div>
          ))}
        </div>
        {props.loading ? <SkeletonRows /> : rows.length === 0 ? props.empty : null}
        {!props.loading && (
          <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
            {items.map((item) => {
              const row = rows[item.index] as T;
              const detail = props.detail?.(row);
              return (
                <div
                  key={item.key}
                  data-index={item.index}
                  ref={virtual.measureElement}
                  style={{ position: 'absolute', insetInline: 0, transform: `translateY(${item.start}px)` }}
                >
                  <div
                    role="row"
                    className="bf-row"
                    aria-rowindex={item.index + 1}
                    tabIndex={0}
                    data-opens={props.onOpen ? '' : undefined}
                    data-key={String(item.key)}
                    style={{ gridTemplateColumns: template, minHeight: rowHeight }}
                    onKeyDown={(event) => onKeyDown(event, row)}
                    onClick={(event) => onClick(event, row)}
                  >
                    {columns.map((column) => (
                      <div key={column.key} role="cell" className={column.right ? 'bf-cell bf-right' : 'bf-cell'}>
                        {column.render(row)}
                      </div>
                    ))}
                  </div>
                  {detail ? <div data-detail>{detail}</div> : null}
                </div>
              );
            })}
          </div>
        )}
      </div>
    </div>
  );
}

function SkeletonRows() {
  return (
    <div aria-busy="true" aria-label="loading" style={{ padding: 12 }}>
      {[92, 78, 85, 64, 80].map((width, index) => (
        <Skeleton key={index} height={14} width={`${width}%`} mb={14} />
      ))}
    </div>
  );
}

function minPixels(track: string): number {
  return Number(/(\d+)px/.exec(track)?.[1] ?? 80);
}

function focusBeside(row: HTMLElement, step: 1 | -1): void {
  const index = Number(row.parentElement?.dataset.index) + step;
  const next = row.closest('[role=rowgroup]')?.querySelector<HTMLElement>(`[data-index="${index}"] > [role=row]`);
  next?.focus();
}
