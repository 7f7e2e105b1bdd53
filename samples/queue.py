"""A priority queue whose items can be given another priority, and the shortest paths it finds."""

from __future__ import annotations

from typing import Generic, Hashable, Iterable, TypeVar

Item = TypeVar("Item", bound=Hashable)


class PriorityQueue(Generic[Item]):
    """A binary heap that remembers where every item lies, so that a priority can be lowered in O(log n)."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, Item]] = []
        self._place: dict[Item, int] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, item: Item, priority: float) -> None:
        """Adds an item, or lowers the priority of one that is there already."""
        if item not in self._place:
            self._heap.append((priority, item))
            self._place[item] = len(self._heap) - 1
            self._rise(len(self._heap) - 1)
        elif priority < self._heap[self._place[item]][0]:
            index = self._place[item]
            self._heap[index] = (priority, item)
            self._rise(index)

    def pop(self) -> tuple[float, Item]:
        """Takes out the item of lowest priority."""
        if not self._heap:
            raise IndexError("pop from an empty queue")
        lowest = self._heap[0]
        last = self._heap.pop()
        del self._place[lowest[1]]
        if self._heap:
            self._heap[0] = last
            self._place[last[1]] = 0
            self._sink(0)
        return lowest

    def _rise(self, index: int) -> None:
        while index > 0 and self._heap[index] < self._heap[(index - 1) // 2]:
            index = self._swap(index, (index - 1) // 2)

    def _sink(self, index: int) -> None:
        while True:
            children = range(2 * index + 1, min(2 * index + 3, len(self._heap)))
            smallest = min(children, key=self._heap.__getitem__, default=index)
            if self._heap[index] <= self._heap[smallest]:
                return
            index = self._swap(index, smallest)

    def _swap(self, a: int, b: int) -> int:
        self._heap[a], self._heap[b] = self._heap[b], self._heap[a]
        self._place[self._heap[a][1]] = a
        self._place[self._heap[b][1]] = b
        return b


def shortest_paths(roads: Iterable[tuple[str, str, float]], start: str) -> dict[str, float]:
    """Distances from `start` to every town that can be reached (Dijkstra, 1959)."""
    neighbours: dict[str, list[tuple[str, float]]] = {}
    for a, b, length in roads:
        if length < 0:
            raise ValueError(f"the road from {a} to {b} has a negative length: {length}")
        neighbours.setdefault(a, []).append((b, length))
        neighbours.setdefault(b, []).append((a, length))

    distances: dict[str, float] = {}
    queue: PriorityQueue[str] = PriorityQueue()
    queue.push(start, 0.0)
    while queue:
        distance, town = queue.pop()
        distances[town] = distance
        for neighbour, length in neighbours.get(town, []):
            if neighbour not in distances:
                queue.push(neighbour, distance + length)
    return distances


if __name__ == "__main__":
    roads = [("Turin", "Milan", 126.0), ("Milan", "Venice", 245.0), ("Turin", "Genoa", 123.0)]
    for town, distance in sorted(shortest_paths(roads, "Turin").items()):
        print(f"{town:10} {distance:6.1f} km")
