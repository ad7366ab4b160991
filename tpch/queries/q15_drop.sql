drop view revenue{view}
